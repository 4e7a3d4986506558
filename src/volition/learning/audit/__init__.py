"""Audits: what is measured of a model before its release, each figure with an interval (model evaluation).

Each module knows only those before it:

finding                what one audit measured
intervals              how sure a mean is
bounds                 what a figure is held against before a release
defaults               the audits that there are, and the bound of each where nothing else is set
trainings              models that audits train, kept until they are done
owners                 to which person each row belongs
groups                 which units belong together, and which groups are too small to show
cross_validation       every unit scored by a model trained without it
marginal               what a party's own data is worth
rivals                 whether a simpler form of the feature does as well, by account
benefit                quality with and without training
fairness               quality by group
membership_inference   does it reveal whose rows it learned from?
canary                 does it give away planted secrets (canary exposure)?
poisoning              who makes it worse for everybody else?
measured               what the operator's own code measured
run                    all of them, in one list
"""
