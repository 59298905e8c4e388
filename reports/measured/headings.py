"""What each part of the results pages says in words. No sentence here holds a figure."""

from collections.abc import Mapping

HEADS: Mapping[str, tuple[str, str, str]] = {
    "conformance": (
        "The default run",
        "Every loss of every implementation, on golden cases and seeded families, in every dtype and mode of the "
        "default run.",
        "A share below one says that the implementation keeps to the derived bound; a share close to one, that the "
        "bound is not loose.",
    ),
    "device": (
        "Conformance on a device",
        "Every loss of the implementations that run on the device, on golden cases and seeded families; of the fused "
        "forms in every dtype.",
        "A run whose verdicts are fewer than what was planned was stopped when its time was over; what it judged until "
        "then counts.",
    ),
    "sharpness": (
        "Wrong implementations that are seen",
        "Wrong implementations, in the ways that libraries and people go wrong, are run through the suite. The table "
        "counts those that each way of comparing sees, of those that can be told from a right one at all in a dtype.",
        "The fixed tolerances are given lossmark's exact values to compare with here, which other suites do not have.",
    ),
    "museum": (
        "Reported defects that are seen",
        "Defects that others have reported in public trackers, rewritten as losses: what was said of each, when, and "
        "who sees it. *Own tests then* stands where the thread tells what the project's tests did at the time.",
        "Nobody who chose these defects could choose what lossmark sees; those that it does not see stay in the table.",
    ),
    "right": (
        "Right implementations that are accused",
        "Right implementations that compute in another way than lossmark's own are run through the same suite. The "
        "table counts those that each way of comparing calls wrong.",
        "A way of comparing that sees wrong implementations is worth nothing if it accuses right ones.",
    ),
    "soak": (
        "Soak",
        "Right implementations and lossmark's own are held to fresh random cases, which no golden case repeats.",
        "A largest share near one says that somebody comes near the bound, a share above one would be a failure.",
    ),
    "speed": (
        "Time of a call",
        "Every implementation in every mode, in turn inside each round, on a warm allocator. *Times as fast* compares "
        "with the plain form of the same framework in eager mode; *of the limit* is the least time in which the "
        "machine can move the necessary bytes, over the time of the call.",
        "What a share of the limit leaves to one is what a faster implementation could still gain.",
    ),
    "sizes": (
        "Small and middle sizes",
        "Loss and gradient at sizes from a few thousand numbers upwards, each form against the plain form of its "
        "framework in eager mode.",
        "A lowest ratio of about one says that the form loses nothing where there is little to gain.",
    ),
    "memory": (
        "Peak memory",
        "The peak of one call beyond its inputs, in multiples of its gradients, and the pages that the system gives "
        "it, with the allocator's defaults.",
        "A form at one holds nothing beside the gradients that it returns; a dash says that the framework keeps what "
        "it has had, so that its peak cannot be seen.",
    ),
    "peers": (
        "Other people's losses",
        "Losses of other libraries that compute the same thing, timed beside lossmark's where they conform. "
        "*Times as long* compares with lossmark's fastest in the same framework.",
        "Only what conforms gets a time, so that nothing is compared with a wrong result.",
    ),
    "gate": (
        "How often the gate is right",
        "Changes whose cost is known are given to the gate, on a quiet machine and beside neighbours that keep a "
        "processor and the memory busy. The last column counts what a gate that fails at a change of the mean by "
        "more than its threshold would have said of the very same times.",
        "A gate that fails the same code is switched off by its users, a gate that passes slower code is useless.",
    ),
    "compare": (
        "An implementation compared with itself",
        "`lossmark compare` is asked about an implementation and the same implementation.",
        "Whatever it calls slower here is a false alarm.",
    ),
    "hunt": (
        "A hunt on many machines",
        "The same hunt on clusters of Ray with machines of one processor each, all of them on one machine. Some die on "
        "the way and are not replaced. Processor time is that of all processes, Ray's own too, from the first task on.",
        "A share near one says that machines cost nothing beside their start and what was lost with those that died. "
        "Evaluations are those of the judge and of a NumPy implementation; a slower one has fewer, and sends no "
        "more.",
    ),
}  # fmt: skip
"""By subject: title, what was measured, and how to read it."""
