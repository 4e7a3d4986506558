"""The features' own pages.

Each module knows only those before it:

switches          the uses of AI here, and who can turn on what is off
sharing           who can open a meeting or channel, and opening it to others
chat              conversations, with the composer
meetings          meetings, with their summary
search            search
recommendations   what to open next
"""
