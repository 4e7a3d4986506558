"""Audits: each turns a model into a finding, measured, with an interval, before anything is released.

Each module knows only those before it:

finding                what one audit measured
intervals              how sure a mean is
bounds                 what a figure is held against before a release
trainings              models that audits train, kept until they are done
owners                 whose row is whose
groups                 which units belong together, and which groups are too small to show
cross_validation       every unit scored by a model trained without it
marginal               what a party's own data is worth
benefit                quality with and without training
fairness               quality by group
membership_inference   can somebody tell whose rows it learned from?
canary                 planted secrets: does it give them away?
poisoning              who makes it worse for everybody else?
run                    all of them, in one list
"""
