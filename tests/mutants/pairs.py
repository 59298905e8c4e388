"""The loss of pairs in the batch with exchangeable parts, over a namespace ``xp`` of one framework's operations."""

from lossmark.impls.arguments import IMAGES, check_finite, check_pairs

from .common import Maker, reduced, softplus


def over(s, temperature):
    """The similarities divided by the temperature."""
    return s / temperature


def multiplied(s, temperature):
    """The similarities multiplied by it, as by a scale."""
    return s * temperature


def own_class(xp, s):
    """-log softmax of each row at its own key."""
    return -xp.own(xp.log_softmax(s))


def own_left_out(xp, s):
    """log-sum-exp over the other keys only, as decoupled losses have it."""
    return xp.lse(xp.where(xp.eye(s), xp.infinite(s), s)) - xp.own(s)


def own_twice(xp, s):
    """The own key once as the positive and once among the negatives."""
    return xp.lse(xp.beside(s, xp.own(s))) - xp.own(s)


def both_directions(xp, s):
    """Half of each direction, as CLIP has it."""
    return (own_class(xp, s) + own_class(xp, xp.turned(s))) / 2


def other_direction(xp, s):
    """The keys look for their queries."""
    return own_class(xp, xp.turned(s))


def choices(xp, s):
    """softplus of each logit, with the sign of the own pair turned."""
    return xp.along(softplus(xp, xp.where(xp.eye(s), -s, s)))


def literal_own(xp, s):
    """lse(s) - s_ii, which loses small losses under a common offset."""
    return xp.lse(s) - xp.own(s)


def mean_over_pairs(xp, loss, reduction):
    """The mean divides by the number of pairs."""
    return xp.total(loss) / loss.shape[0] ** 2 if reduction == "mean" else reduced(xp, loss, reduction)


class Pairs(Maker):
    """Makes implementations of info_nce, clip and siglip."""

    def pairs(self, name, similarities=None, heat=over, body=own_class, reduce=None, wide=None, modes=("eager",)):
        """``similarities(q, k, kind)``, ``heat(s, temperature)``, ``body(xp, s)``; ``wide(x)`` is the dtype inside."""
        xp = self.xp

        def info_nce(query, key, *, temperature=0.07, similarity="cosine", reduction="mean"):
            check_pairs(query, key, temperature, similarity, reduction)
            q, k = (wide or xp.wide)(query), (wide or xp.wide)(key)
            s = heat((similarities or xp.similarities)(q, k, similarity), temperature)
            return self._result(body(xp, s) if s.shape[0] else xp.sum(s), reduction, query, reduce)

        self.bind(name, "info_nce", info_nce, modes)

    def clip(self, name, similarities=None, heat=multiplied, body=both_directions, reduce=None, wide=None):
        """As :meth:`pairs`, of images and texts: ``heat(s, scale)``."""
        xp = self.xp

        def clip(image, text, *, scale=14.285714, similarity="cosine", reduction="mean"):
            check_pairs(image, text, scale, similarity, reduction, IMAGES)
            x, y = (wide or xp.wide)(image), (wide or xp.wide)(text)
            s = heat((similarities or xp.similarities)(x, y, similarity), scale)
            return self._result(body(xp, s) if s.shape[0] else xp.sum(s), reduction, image, reduce)

        self.bind(name, "clip", clip)

    def siglip(self, name, similarities=None, logits=None, body=None, reduce=None, wide=None):
        """``logits(s, scale, bias)`` of the similarities, ``body(xp, s)`` the losses of the examples."""
        xp = self.xp

        def siglip(image, text, *, scale=10.0, bias=-10.0, similarity="cosine", reduction="mean"):
            check_pairs(image, text, scale, similarity, reduction, IMAGES)
            check_finite("bias", bias)
            x, y = (wide or xp.wide)(image), (wide or xp.wide)(text)
            s = (similarities or xp.similarities)(x, y, similarity)
            s = logits(s, scale, bias) if logits else scale * s + bias
            return self._result((body or choices)(xp, s), reduction, image, reduce)

        self.bind(name, "siglip", siglip)
