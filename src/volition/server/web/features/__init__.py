"""The features' own pages.

Each module knows only those before it:

switches          the uses of AI here, and who can turn on what is off
sharing           who can open a meeting or channel, and opening it to others
chat              conversations, with the composer
recordings        the sound of a meeting, and who speaks where no track tells
meetings          meetings, with their summary
speakers          many lines of a recording named at once
written           summaries written by a language model
search            search
recommendations   what to open next
"""
