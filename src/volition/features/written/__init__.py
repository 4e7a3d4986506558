"""Written summaries: a language model reads the whole transcript that the gate lets through, and each claim is checked.

What they guarantee:

- Only lines that the gate lets through at the moment of sending leave, and only to the configured host.
- A claim is shown only where the lines that it cites carry it: names, numbers, dates, most of its words, and whether it
  denies. What a model says about itself, about permissions or about anything else changes nothing: its answer is data.
- Words are checked, not meaning: each claim is shown with the seconds that it rests on.

A transcript is cut into parts that fit the model's context (map); the claims of all parts are then told in one overview
(reduce). What is finished is kept, so that a killed writing goes on after it.

Each module knows only those before it:

claims        a claim, a line that it rests on, and the summary that they make
transcript    the lines of a meeting that the gate lets through
checking      do the lines carry the claim?
answers       what a model is asked for, and what is taken from its answer
parts         a transcript in parts that fit a context
writing       from lines to a summary, part by part
corrections   what people change in a summary
"""
