"""The gate: did a change make anything wrong, costlier or slower?

Base and head are compared in the same job, in three steps, each of which can fail it:

    cells   conformance of both: nothing that passed fails, nothing is missing, no bound is used up more than before
    costs   what can be counted: peak memory, bytes moved, programs compiled anew
    race    times, paired and interleaved, with a second process of the base that says whether the machine is fit

``sides`` makes the two sides (a git worktree for a revision), ``decide`` holds the statistic, ``run`` puts the steps
together, ``formats`` writes the outcome down.
"""
