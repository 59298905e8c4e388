"""What several libraries evaluate for a loss, in the language of the specs."""

from __future__ import annotations

FROM_THE_SUM = "weight_y*(lse(logits, C) - pick(logits, target, C))"
"""Cross entropy of a class: its logit is taken from the logarithm of the sum."""
HARD = ("hard", FROM_THE_SUM)
"""Likewise, or by log-probabilities: a logarithm of a sum is taken from a logit, or what it is near to."""
SOFT = ("sum(target*(log_sum + (m - logits)), C)", "sum(target*(lse(logits, C) - logits), C)")
"""Likewise of probabilities."""
ONE_HOT = tuple(f"weight_y*{form.replace('target', 'where(target == C, 1, 0)')}" for form in SOFT)
"""Cross entropy of a class whose row of 0 and 1 is taken times the log-probabilities, 0 times infinite ones too."""
LINEAR = ("lse(logits - pick(logits, target, C), C)", "lse(logits, C) - pick(logits, target, C)")
"""Likewise of the logits that an output layer gives."""
SHARE = "(alpha*target + (1 - alpha)*(1 - target))"
"""The weight of a class in a focal loss."""
FOCUS = "power(1 - (sigmoid(logits)*target + (1 - sigmoid(logits))*(1 - target)), gamma)"
"""What a focal loss takes a cross entropy times; 1 - p_t by subtraction."""
