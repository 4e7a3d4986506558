"""Summary: the moments of a meeting that its people would have written down, as quotes (extractive summarization).

A summary made of quotes cannot invent anything: each moment is a verbatim piece of one segment and points at its
speaker and its place. What is learnt is which sentences to quote, from meetings whose summaries people edited: a
ridge regression from a sentence's place, length, words and embedding to how much of it the edited summary uses.

The regression is kept as its sums of products, in integers. Each meeting adds its own sums, so the order of meetings
does not matter and forgetting a meeting is subtracting: what remains has the bytes of a model that never saw it.
The weights are solved when a model is opened. No word of any meeting is stored.

Sources: fixed-point sufficient statistics as in exact unlearning by summation, Cao and Yang 2015,
doi:10.1109/SP.2015.35; redundancy by maximal marginal relevance, Carbonell and Goldstein 1998,
doi:10.1145/290941.291025; less for each further quote of a topic, Lin and Bilmes 2011,
https://aclanthology.org/P11-1052; ROUGE, Lin 2004, https://aclanthology.org/W04-1013.

Each module knows only those before it:

sentences    a meeting cut into sentences; what a quote is
features     what the regression sees, in whole numbers
languages    phrases by which people settle, hand out and ask
due          when something is due, as a day
weights      what each cue of a decision or a task weighs
spotting     cues of decisions and tasks
taught       what corrected summaries teach about them
regression   exact sums, added, subtracted, solved
shown        a quote without stumbles, and the line before it
minutes      decisions, tasks, open questions
topics       the topics of a meeting
summary      the quotes of one meeting
family       learning from edited summaries
spec         what this family is: its declaration
"""
