"""Search: which turn of a meeting, message of a channel or passage of a file answers a query (learning to rank).

- BM25 on words and the cosine of a frozen sentence encoder, both also smoothed over the neighbouring lines, find lines
  that may answer. Their untrained **blend** is search by itself.
- A trained model re-ranks the lines of a document with LambdaMART over features of these signals, and weighs the words
  of a query: one that people put in every query ("discussion") says little. Only words from the queries of several
  people about several documents are kept; of the content, nothing stays in the model but the thresholds of its trees.
- Across documents, the scores of lines are joined with the strength of their documents in a first, cheap look.
- Where nothing that is found says anything of what was asked, search is silent.
- Without the encoder, search works on words alone and says so.

Sources: LambdaMART, Burges 2010, MSR-TR-2010-82; NDCG, Jarvelin and Kekalainen 2002, doi:10.1145/582415.582418.

Each module knows only those before it:

lines        what search works on, and which were opened
features     signals that a line answers a query
evidence     whether anything that was found says something of what was asked
marks        which words of a line are words of the query
named        meetings, channels and files whose name the query is
narrowing    which lines a search is narrowed to
ranking      the lines that answer, in order
family       learning to rank from what was opened
spec         what this family is: its declaration
"""
