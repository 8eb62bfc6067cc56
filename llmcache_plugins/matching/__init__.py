"""Is the hit right? Candidates in, a match or near misses out. Pure."""

from llmcache_plugins.matching.decision import Decision, GuardChain, Judged, decide, has_conflict, judged
from llmcache_plugins.matching.policy import ConfidencePolicy, Policies, Policy, SimilarityPolicy, VerifiedPolicy

__all__ = [
    "ConfidencePolicy",
    "Decision",
    "GuardChain",
    "Judged",
    "Policies",
    "Policy",
    "SimilarityPolicy",
    "VerifiedPolicy",
    "decide",
    "has_conflict",
    "judged",
]
