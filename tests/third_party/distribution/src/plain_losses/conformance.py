"""What the entry point names: the losses of this distribution, for lossmark."""

from lossmark import Implementation
from plain_losses import contrastive

impl = Implementation("plain", framework="numpy", version="1.0")
impl.loss(contrastive)
