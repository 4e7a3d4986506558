"""How good the families are, with and without training, on real data: `bench quality --data DIR`.

search_across   NDCG@10 over all meetings
search_silence  nonsense that finds something, and what silence costs
search          NDCG@10 within a meeting
summary         ROUGE of summaries
topics          Pk and WindowDiff of topics
compose         keystrokes saved
recommend       NDCG@10 of the conversation that somebody joins next
diagnose        failures and their causes, in simulated sessions
families        all of them, or the one named by `--only`
"""

from bench.quality.families import run

__all__ = ["run"]
