"""Diagnose: which sessions are about to fail, and the likely causes, from telemetry and diagnostics.

- Gradient-boosted trees give each session a score from what its client measured so far (`sessions`).
- The score is **calibrated**: of the sessions at a risk of 30 %, three in ten fail. A logistic curve is fitted to
  scores that trees gave to people they had not seen (Platt 1999), and kept as two numbers.
- The **likely causes** are what pushes this session's score up: the contributions of its attributes (TreeSHAP, Lundberg
  et al. 2020), in words and as a factor of the odds. They are associations in the data: what goes together
  with failing, not proof of a cause.
- Forgetting is learning again: deterministic, so that nothing of the removed rows can stay.
- Without a model, fixed thresholds that everybody knows give a rough risk, and the answer says so.

Sources: J. Platt, "Probabilistic Outputs for Support Vector Machines", 1999; S. Lundberg et al., "From local
explanations to global understanding with explainable AI for trees", Nature Machine Intelligence 2, 2020; Brier skill
score, D. Wilks, Statistical Methods in the Atmospheric Sciences, chapter 9.

Each module knows only those before it:

sessions     what is seen of a session, and in which words
diagnosis    risks and likely causes
family       learning from how sessions ended
spec         what this family is: its declaration
"""
