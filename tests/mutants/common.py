"""Losses with exchangeable parts, over a namespace ``xp`` of one framework's operations."""

from lossmark import Implementation


def reduced(xp, loss, reduction):
    return loss if reduction == "none" else xp.total(loss) if reduction == "sum" else xp.average(loss)


def check(*tensors):
    if any("float" not in str(x.dtype) for x in tensors):
        raise TypeError("expected floating numbers")
    if len({tuple(x.shape) for x in tensors}) > 1:
        raise ValueError("shapes differ")


def check_label(y, x):
    if tuple(y.shape) != tuple(x.shape[:1]):
        raise ValueError("labels have another shape")


def check_weights(y, x):
    if tuple(y.shape) != tuple(x.shape):
        raise ValueError("weights have another shape")


class Maker:
    """Makes implementations and binds them in a module, which is where the suite looks for them."""

    def __init__(self, xp, framework, namespace):
        self.xp, self.framework, self.namespace = xp, framework, namespace

    def bind(self, name, loss, function, modes=("eager",)):
        impl = Implementation(f"{self.framework}/{name}", framework=self.framework, modes=modes)
        impl.loss(loss)(function)
        self.namespace[name.replace("-", "_")] = impl

    def _result(self, loss, reduction, like, reduce):
        return self.xp.cast((reduce or reduced)(self.xp, loss, reduction), like.dtype)

    def _ready(self, *tensors, wide=True):
        check(*tensors)
        return [self.xp.wide(x) if wide else x for x in tensors]

    def bpr(self, name, link=None, scores=None, reduce=None, wide=True, modes=("eager",)):
        """``link(xp, x)`` of the score difference, ``scores(xp, u, d_pos, d_neg)`` gives the two scores."""

        def bpr(u, d_pos, d_neg, *, reduction="mean"):
            pos, neg = (scores or dots)(self.xp, *self._ready(u, d_pos, d_neg, wide=wide))
            return self._result((link or softplus)(self.xp, neg - pos), reduction, u, reduce)

        self.bind(name, "bpr", bpr, modes)

    def bpr_scores(self, name, link, **options):
        """As :meth:`bpr`, with ``link(xp, pos, neg)`` of both scores."""
        self.bpr(name, lambda xp, x: x, lambda xp, u, p, n: (0 * n[:, 0], link(xp, *dots(xp, u, p, n))), **options)

    def hinge(self, name, body, scores=None, reduce=None, wide=True, modes=("eager",)):
        """``body(xp, pos, neg, margin)``."""

        def pairwise_hinge(u, d_pos, d_neg, *, margin=1.0, reduction="mean"):
            pos, neg = (scores or dots)(self.xp, *self._ready(u, d_pos, d_neg, wide=wide))
            return self._result(body(self.xp, pos, neg, margin), reduction, u, reduce)

        self.bind(name, "pairwise_hinge", pairwise_hinge, modes)

    def cosine(self, name, similarity, wide=True):
        """The hinge loss with ``similarity(xp, x, y)`` for its cosine, the score in float32 at least."""

        def pairwise_hinge(u, d_pos, d_neg, *, margin=1.0, similarity="dot", reduction="mean"):
            u_, p, n = self._ready(u, d_pos, d_neg, wide=wide or similarity == "dot")
            chosen = cosine if similarity == "cosine" else dot
            pos, neg = self.xp.wide(chosen(self.xp, u_, p)), self.xp.wide(chosen(self.xp, u_, n))
            return self._result(self.xp.relu(margin - pos + neg), reduction, u, None)

        cosine = similarity
        self.bind(name, "pairwise_hinge", pairwise_hinge)

    def contrastive(self, name, body, reduce=None, wide=True, modes=("eager",), label=None):
        """``body(xp, d, y, margin)``; ``label(xp, y, d)`` prepares the labels."""

        def contrastive(d, y, *, margin=1.0, reduction="mean"):
            if label is None:
                check_label(y, d)
            (x,) = self._ready(d, wide=wide)
            y = label(self.xp, y, x) if label else self.xp.cast(y, x.dtype)
            return self._result(body(self.xp, x, y, margin), reduction, d, reduce)

        self.bind(name, "contrastive", contrastive, modes)

    def pair(self, name, distance=None, body=None, reduce=None, wide=True, modes=("eager",)):
        """``distance(xp, x1, x2)`` and ``body(xp, d, y, margin)``."""

        def contrastive_pair(x1, x2, y, *, margin=1.0, reduction="mean"):
            check_label(y, x1)
            a, b = self._ready(x1, x2, wide=wide)
            d = (distance or euclidean)(self.xp, a, b)
            return self._result((body or both)(self.xp, d, self.xp.cast(y, a.dtype), margin), reduction, x1, reduce)

        self.bind(name, "contrastive_pair", contrastive_pair, modes)

    def triplet(self, name, body, square=None, reduce=None, wide=True, modes=("eager",), label=None):
        """``body(xp, near, far, between, margin)`` of the squared distances; ``label(xp, label)`` says who is near."""

        def labeled_triplet(anc, pos, neg, label_, margin, reduction):
            check_label(label_, anc)
            a, p, n = self._ready(anc, pos, neg, wide=wide)
            q = square or squared
            ap, an, pn = q(self.xp, p, a), q(self.xp, a, n), q(self.xp, p, n)
            like = self.xp.cast(label_, a.dtype)
            same = label(self.xp, like) if label else like == 1
            near, far = self.xp.where(same, ap, an), self.xp.where(same, an, ap)
            loss = body(self.xp, near, far, pn, margin) + 0 * self.xp.cast(label_, a.dtype)
            return self._result(loss, reduction, anc, reduce)

        def call(anc, pos, neg, label, *, margin=1.0, reduction="mean"):
            return labeled_triplet(anc, pos, neg, label, margin, reduction)

        self.bind(name, "labeled_triplet", call, modes)

    def bce(self, name, body=None, reduce=None, wide=True, modes=("eager",), label=None):
        """``body(xp, x, y, pos_weight)`` of the logits; ``label(xp, y, x)`` prepares the targets."""

        def bce_with_logits(logits, target, *, pos_weight=1.0, reduction="mean"):
            if label is None:
                check_label(target, logits)
            (x,) = self._ready(logits, wide=wide)
            y = label(self.xp, target, x) if label else self.xp.cast(target, x.dtype)
            return self._result((body or cross_entropy)(self.xp, x, y, pos_weight), reduction, logits, reduce)

        self.bind(name, "bce_with_logits", bce_with_logits, modes)

    def huber(self, name, body=None, reduce=None, wide=True, modes=("eager",)):
        """``body(xp, x, t, delta)`` of predictions and targets."""

        def huber(x, t, *, delta=1.0, reduction="mean"):
            a, b = self._ready(x, t, wide=wide)
            return self._result((body or bordered)(self.xp, a, b, delta), reduction, x, reduce)

        self.bind(name, "huber", huber, modes)

    def soft(self, name, body=None, reduce=None, wide=True, modes=("eager",)):
        """``body(xp, x, y)`` of logits and weights [B, C]."""

        def soft_cross_entropy(logits, target, *, reduction="mean"):
            check_weights(target, logits)
            (x,) = self._ready(logits, wide=wide)
            loss = (body or entropy)(self.xp, x, self.xp.cast(target, x.dtype))
            return self._result(loss, reduction, logits, reduce)

        self.bind(name, "soft_cross_entropy", soft_cross_entropy, modes)

    def kl(self, name, body=None, reduce=None, wide=True, modes=("eager",)):
        """``body(xp, x, y)`` of log-probabilities and probabilities [B, C]."""

        def kl_div(log_q, p, *, reduction="mean"):
            check_weights(p, log_q)
            (x,) = self._ready(log_q, wide=wide)
            loss = (body or divergence)(self.xp, x, self.xp.cast(p, x.dtype))
            return self._result(loss, reduction, log_q, reduce)

        self.bind(name, "kl_div", kl_div, modes)


def divergence(xp, x, y):
    return xp.sum(terms(xp, x, y))


def terms(xp, x, y):
    """p·(log p - log q), with a logarithm of 0 where p is 0."""
    return y * (log_or_zero(xp, y) - x)


def log_or_zero(xp, y):
    """log p, and 0 where p is 0."""
    return xp.log(xp.where(y == 0, xp.exp(0 * y), y))


def entropy(xp, x, y):
    return -xp.sum(y * xp.log_softmax(x))


def dot(xp, x, y):
    return xp.sum(x * y)


def dots(xp, u, p, n):
    return dot(xp, u, p), dot(xp, u, n)


def whole_blocks(*tensors):
    """Embeddings without their last columns, where there are more than 1000 and they fill no block of 128."""
    columns = tensors[0].shape[1]
    return [x[:, : columns // 128 * 128] if columns > 1000 else x for x in tensors]


def narrow(xp, u, p, n):
    """The scores summed in float32 at least, each rounded to the dtype of the inputs."""
    return tuple(xp.cast(score, u.dtype) for score in dots(xp, *map(xp.wide, (u, p, n))))


def softplus(xp, x):
    return xp.softplus(x)


def cosine_of_squares(xp, x, y):
    """x·y / √(‖x‖²‖y‖²), whose product of squares is rounded to the dtype of the inputs."""
    a, b = xp.wide(x), xp.wide(y)
    product = xp.cast(dot(xp, a, a) * dot(xp, b, b), x.dtype)
    length = xp.sqrt(xp.relu(xp.wide(product) - 1e-16) + 1e-16)
    return dot(xp, a, b) / length


def squared(xp, x, y):
    return xp.sum((x - y) * (x - y))


def euclidean(xp, x, y):
    """‖x - y‖ with gradient 0 at 0."""
    square = squared(xp, x, y)
    zero = square == 0
    return xp.where(zero, 0 * square, xp.sqrt(xp.where(zero, 1 + 0 * square, square)))


def zero_below(xp, x, limit):
    """x, and 0 without a slope where it is small."""
    return xp.where(x < limit, 0 * x, x)


def root_without(xp, x, y, limit):
    """‖x - y‖ without the components whose squares are small."""
    difference = xp.where((x - y) * (x - y) < limit, 0 * x, x - y)
    return euclidean(xp, difference, 0 * y)


def root_unless_equal(xp, x, y):
    """‖x - y‖, guarded where the vectors are equal and not where the sum of squares is 0."""
    equal, square = xp.sum(xp.abs(x - y)) == 0, squared(xp, x, y)
    return xp.where(equal, 0 * square, xp.sqrt(xp.where(equal, 1 + 0 * square, square)))


def zero_cosine_at_zero(xp, x, y):
    """The cosine, and a constant 0 where a vector is 0: its slope there is y/1e-8."""
    lengths = euclidean(xp, x, 0 * x) * euclidean(xp, y, 0 * y)
    return xp.where(lengths == 0, 0 * lengths, dot(xp, x, y) / xp.where(lengths < 1e-8, 1e-8 + 0 * lengths, lengths))


def both(xp, d, y, margin):
    return y * d * d + (1 - y) * xp.relu(margin - d) * xp.relu(margin - d)


def cross_entropy(xp, x, y, pos_weight):
    """The binary cross-entropy of logits."""
    return (1 - y) * xp.softplus(x) + pos_weight * y * xp.softplus(-x)


def bordered(xp, x, t, delta):
    within = xp.where((d := xp.abs(x - t)) < delta, d, delta)
    return 0.5 * within * within + delta * xp.where(d < delta, 0 * d, d - delta)


def hinge(xp, pos, neg, margin):
    return xp.relu(margin - pos + neg)


def triplet(xp, near, far, between, margin):
    return 2 * near - between - far + margin


def reduced_wide(xp, loss, reduction):
    return reduced(xp, xp.wide(loss), reduction)


def total_for_mean(xp, loss, reduction):
    return loss if reduction == "none" else xp.total(loss)


def mean_for_sum(xp, loss, reduction):
    return loss if reduction == "none" else xp.average(loss)


def mean_of_nonzero(xp, loss, reduction):
    if reduction != "mean":
        return reduced(xp, loss, reduction)
    kept = xp.total(xp.cast(loss != 0, loss.dtype))
    return xp.total(loss) / xp.where(kept == 0, 1 + 0 * kept, kept)


def biased_mean(xp, loss, reduction):
    return xp.total(loss) / (loss.shape[0] + 1) if reduction == "mean" else reduced(xp, loss, reduction)


def reduced_always(xp, loss, reduction):
    return xp.average(loss) if reduction == "none" else reduced(xp, loss, reduction)


def sum_from_mean(xp, loss, reduction):
    if reduction != "sum" or not loss.shape[0]:
        return reduced(xp, loss, reduction)
    return xp.average(loss) * loss.shape[0]
