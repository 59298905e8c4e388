"""The gate: did a change make anything wrong, costlier or slower?

Base and head are compared in the same job, in three steps, each of which can fail it:

    cells   conformance of both: nothing that passed fails, nothing is missing, no bound is used up more than before
    costs   what can be counted: peak memory, bytes moved, programs compiled anew
    race    times, paired and interleaved, with a second process of the base that says whether the machine is fit

``sides`` makes the two sides (a git worktree for a revision), ``evidence`` holds the statistic, ``steps`` puts the
steps together, ``formats`` writes the outcome. Stands on timing and results, and runs conformance as a command. Knows
neither the plan of conformance nor the command line.
"""
