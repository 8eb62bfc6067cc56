"""Right answers: an error budget, a look-alike refused and why, a wrong answer reported, near misses.

Runs offline, with `pip install 'llmcache-plugins[local]'`: `python examples/right_answers.py`
"""

from llmcache_plugins import open_cache

# Of 1,000 requests at most 5 may be answered wrongly; questions about the state of things hit by the same text alone.
cache = open_cache("memory://", max_error_rate=0.005, max_error_rate_by_query_type={"status": 0.0})
cache.update("How do I reset my password?", "With the link under the sign-in form.")
cache.update("How do I reach the console of rtr-001?", "By ssh, through the jump host of its site.")
cache.update("Is the VPN gateway up?", "Yes, since 08:12.")

# 1. Other words: a hit, with its evidence (similarity, confidence, policy, what each guard said; no text of anybody).
hit = cache.lookup("How can I reset my password?")
print(hit.kind, "->", hit.answer)  # semantic -> With the link under the sign-in form.
print(hit.evidence["verdicts"]["numbers"])  # silent

# 2. A look-alike: nearly the same words, another router. `print(why)` shows all of it as a table.
why = cache.explain("How can I reach the console of rtr-002?")
nearest = why.candidates[0]
print(why.outcome)  # miss (guard_conflict)
print(nearest.question)  # How do I reach the console of rtr-001?
print([said.guard for said in nearest.verdicts if said.verdict == "conflict"])  # ['numbers', 'identifiers']
print(why)

# 3. A type of question with a budget of 0.
print(cache.explain("Is the VPN gateway running?").query_type)  # status
print(cache.lookup("Is the VPN gateway running?").reason)  # exact_only
print(cache.lookup("Is the VPN gateway up?").kind)  # exact

# 4. A user says that a hit was wrong: its entry goes, the pair never matches again, and a test case remains.
reported = cache.report_wrong(hit)
print(reported.removed, reported.is_remembered)  # 1 True
cache.update("How do I reset my password?", "With the link under the sign-in form.")
print(cache.lookup("How can I reset my password?").reason)  # reported
print([case.row()["label"] for case in cache.regressions()])  # [0]

# 5. What was nearly served: worth a look, and with `near_miss_file=` pairs to label for `llmcache tune --from-log`.
cache.lookup("How can I reach the console of rtr-002?")
for near in cache.near_misses():
    print(f"{near.reason}: {near.asked} / {near.stored} {', '.join(near.vetoed_by)}")
cache.close()
