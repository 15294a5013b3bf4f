"""The meta-gradient is the gradient: it equals plain autograd through the unrolled student."""

from __future__ import annotations

import weakref
from contextlib import suppress
from typing import Any

import pytest
import torch
import torch._dynamo.utils
import torch.nn.functional as F
from torch import Tensor

from benchmarks.plain import unrolled_gradient
from datm_engine.compute.compilation import compiled
from datm_engine.compute.memory_errors import OutOfMemory
from datm_engine.compute.runtime import Compiler, Runtime, generator
from datm_engine.data.augmentation import OPERATIONS, augment, draw
from datm_engine.distillation.batches import Step
from datm_engine.distillation.learned import Learned
from datm_engine.distillation.matching import StudentTrajectory, backpropagate, train_student
from datm_engine.distillation.sharding import WHOLE, ShardedGradients, Sharding
from datm_engine.networks.weights import FlatNetwork
from datm_engine.networks.zoo import build
from datm_engine.runs.events import Noted
from datm_engine.training.losses import Gradient, hard_labels, soft_cross_entropy, student_gradient
from tests.conftest import finish

CLASSES, IMAGES = 3, 7


class Problem:
    """A small synthetic set, a student and a target, in float64."""

    def __init__(self, *, batch: int, steps: int, operations: list[str], soft: bool, norm: str):
        draws = generator(0, "problem", batch, steps, *operations)
        module = build(
            "convnet", channels=3, size=(8, 8), classes=CLASSES, width=4, depth=2, norm=norm, seed=1
        )
        self.network = FlatNetwork(module.double())
        self.gradient = student_gradient(self.network)
        self.start = self.network.initial()
        self.target = self.start + 0.1 * _normal(draws, len(self.start))
        self.images = _normal(draws, IMAGES, 3, 8, 8)
        own = torch.arange(IMAGES) % CLASSES
        self.labels = (
            _normal(draws, IMAGES, CLASSES) if soft else hard_labels(own, CLASSES).double()
        )
        self.syn_lr = torch.tensor(0.3, dtype=torch.float64)
        batches: list[Tensor] = []
        while len(batches) < steps:
            batches += torch.randperm(IMAGES, generator=draws).split(batch)
        batches = batches[:steps]
        augmentations = draw(operations, [len(b) for b in batches], draws)
        self.steps = [Step(b, a) for b, a in zip(batches, augmentations, strict=True)]

    def student(self, keep: int = 0, sharding: Sharding = WHOLE, **how: Any) -> StudentTrajectory:
        """A trained student, without its meta-gradient."""
        return self._match(keep, sharding=sharding, backward=False, **how)[0]

    def parts(
        self,
        keep: int = 0,
        gradient: Gradient | None = None,
        exact: bool = True,
        sharding: Sharding = WHOLE,
        **how: Any,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Loss and the three gradients, by the recursion."""
        student, total = self._match(keep, gradient=gradient, exact=exact, sharding=sharding, **how)
        return student.loss, total.images, total.labels, total.syn_lr

    def _match(
        self,
        keep: int,
        gradient: Gradient | None = None,
        exact: bool = True,
        sharding: Sharding = WHOLE,
        backward: bool = True,
        **how: Any,
    ) -> tuple[StudentTrajectory, Learned]:
        learned = Learned(self.images, self.labels, self.syn_lr)
        gradients = ShardedGradients(gradient or self.gradient, learned, self.steps, sharding, keep)
        with gradients:
            steps = len(self.steps)
            student = train_student(gradients, self.start, self.target, steps, **how)
            if sharding is WHOLE:
                assert set(gradients.graphs) == set(range(steps - keep, steps))
            if backward:
                backpropagate(gradients, student, through_weights=exact)
                assert not gradients.graphs
        assert not gradients.graphs
        return student, gradients.total

    def plain(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return unrolled_gradient(
            self.network,
            self.start,
            self.target,
            self.images,
            self.labels,
            self.syn_lr,
            self.steps,
        )

    def weights_as_given(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What TESLA differentiates, by autograd: θ_N = θ_0 − η Σ g_i, each g_i at a θ_i that
        depends on nothing."""
        learned = (self.images, self.labels, self.syn_lr)
        images, labels, syn_lr = (t.detach().requires_grad_() for t in learned)
        theta = self.start
        for step in self.steps:
            given = theta.detach().requires_grad_()
            logits = self.network(given, augment(images[step.indices], step.draw))
            loss = soft_cross_entropy(logits, labels[step.indices])
            (g,) = torch.autograd.grad(loss, given, create_graph=True)
            theta = theta - syn_lr * g
        distance = (self.start - self.target).square().sum()
        matching_loss = (theta - self.target).square().sum() / distance
        found = torch.autograd.grad(matching_loss, (images, labels, syn_lr))
        return matching_loss.detach(), *found


def _normal(draws: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=draws, dtype=torch.float64)


def assert_equal(found: tuple[Tensor, ...], plain: tuple[Tensor, ...]) -> None:
    for ours, theirs in zip(found, plain, strict=True):
        assert float((ours - theirs).norm()) <= 1e-9 * float(theirs.norm())


@pytest.mark.parametrize("soft", [True, False], ids=["soft", "hard"])
@pytest.mark.parametrize("batch", [7, 3, 2, 50], ids=["whole", "ragged", "many", "above"])
def test_equals_autograd_for_batches_and_labels(batch: int, soft: bool) -> None:
    problem = Problem(batch=batch, steps=9, operations=list(OPERATIONS), soft=soft, norm="instance")
    assert_equal(problem.parts(), problem.plain())


@pytest.mark.parametrize("keep", [1, 4, 9])
def test_graphs_that_are_kept_change_nothing(keep: int) -> None:
    problem = Problem(batch=3, steps=9, operations=list(OPERATIONS), soft=True, norm="instance")
    assert_equal(problem.parts(keep), problem.parts())
    assert_equal(problem.parts(keep), problem.plain())


@pytest.mark.parametrize("keep", [0, 4, 9])
def test_a_graph_that_is_kept_is_not_built_again(keep: int) -> None:
    problem = Problem(batch=3, steps=9, operations=[], soft=True, norm="instance")
    built: list[int] = []

    def counted(theta: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        built.append(theta.requires_grad)
        return problem.gradient(theta, images, labels)

    problem.parts(keep, counted)
    assert built.count(True) == 9, "each graph is built once"
    assert len(built) == 18 - keep


def test_kept_graphs_are_freed_without_a_way_back() -> None:
    """As where the loss is above the threshold, or where memory runs out."""
    problem = Problem(batch=3, steps=9, operations=[], soft=True, norm="instance")
    alive: list[Any] = []

    def watched(theta: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        g = problem.gradient(theta, images, labels)
        alive.append(weakref.ref(g))
        return g

    learned = Learned(problem.images, problem.labels, problem.syn_lr)
    for stopped_by in (None, OutOfMemory):
        alive.clear()
        gradients = ShardedGradients(watched, learned, problem.steps, kept=4)
        with suppress(OutOfMemory), gradients:
            train_student(gradients, problem.start, problem.target, 9)
            assert sum(ref() is not None for ref in alive) >= 4
            if stopped_by:
                raise stopped_by
        assert not gradients.graphs
        assert all(ref() is None for ref in alive)


@pytest.mark.parametrize("operation", list(OPERATIONS))
def test_equals_autograd_for_every_augmentation(operation: str) -> None:
    problem = Problem(batch=3, steps=6, operations=[operation], soft=True, norm="instance")
    assert_equal(problem.parts(), problem.plain())
    unaugmented = Problem(batch=3, steps=6, operations=[], soft=True, norm="instance")
    assert not torch.allclose(problem.parts()[1], unaugmented.parts()[1])


@pytest.mark.parametrize("norm", ["layer", "group", "none"])
def test_equals_autograd_for_every_norm(norm: str) -> None:
    problem = Problem(batch=3, steps=6, operations=["scale"], soft=True, norm=norm)
    assert_equal(problem.parts(), problem.plain())


@pytest.mark.parametrize("keep", [0, 4])
@pytest.mark.parametrize("soft", [True, False], ids=["soft", "hard"])
def test_teslas_gradient_is_that_of_weights_that_are_given(soft: bool, keep: int) -> None:
    problem = Problem(batch=3, steps=9, operations=list(OPERATIONS), soft=soft, norm="instance")
    found = problem.parts(keep, exact=False)
    assert_equal(found, problem.weights_as_given())
    images, exact = found[1], problem.parts()[1]
    assert float((images - exact).norm()) > 0.01 * float(exact.norm()), "an approximation"


def test_over_one_step_teslas_gradient_is_exact() -> None:
    """There are no later weights to depend on the images."""
    problem = Problem(batch=7, steps=1, operations=["scale"], soft=True, norm="instance")
    assert_equal(problem.parts(exact=False), problem.plain())


@pytest.mark.slow
def test_equals_autograd_compiled() -> None:
    """Whole and ragged batches, rebuilt and kept; and nothing is compiled after the first time."""
    problem = Problem(batch=4, steps=6, operations=list(OPERATIONS), soft=True, norm="instance")
    counters: Any = torch._dynamo.utils.counters
    result, faster = finish(
        compiled,
        Runtime(torch.device("cpu"), torch.float64, compiler=Compiler("on")),
        "student steps",
        problem.gradient,
        lambda gradient: problem.parts(3, gradient),
        1,
    )
    (note,) = (event for event in result if isinstance(event, Noted))
    assert "compiled in" in note.text
    assert faster is not problem.gradient
    compilations = counters["stats"]["unique_graphs"]
    assert_equal(problem.parts(gradient=faster), problem.plain())
    assert_equal(problem.parts(3, faster), problem.plain())
    other = Problem(batch=4, steps=6, operations=["flip"], soft=True, norm="instance")
    other.parts(2, faster)
    assert counters["stats"]["unique_graphs"] == compilations


def test_equals_finite_differences() -> None:
    """An independent witness: neither autograd's unroll nor the recursion."""
    problem = Problem(batch=3, steps=4, operations=["rotate"], soft=True, norm="instance")
    _, images_bar, labels_bar, rate_bar = problem.parts()
    at = problem.images, problem.labels, problem.syn_lr

    def loss(images: Tensor, labels: Tensor, rate: Tensor) -> float:
        problem.images, problem.labels, problem.syn_lr = images, labels, rate
        return float(problem.student().loss)

    draws = generator(1, "directions")
    towards = (_normal(draws, *problem.images.shape), _normal(draws, *problem.labels.shape))
    h = 1e-6
    for sign_images, sign_labels, sign_rate in [(1, 0, 0), (0, 1, 0), (0, 0, 1)]:
        ends = [
            loss(
                at[0] + s * h * sign_images * towards[0],
                at[1] + s * h * sign_labels * towards[1],
                at[2] + s * h * sign_rate,
            )
            for s in (1, -1)
        ]
        along = (
            sign_images * (images_bar * towards[0]).sum()
            + sign_labels * (labels_bar * towards[1]).sum()
            + sign_rate * rate_bar
        )
        assert (ends[0] - ends[1]) / (2 * h) == pytest.approx(float(along), rel=1e-4)


def test_hard_labels_are_plain_cross_entropy() -> None:
    logits = _normal(generator(0), 5, CLASSES)
    own = torch.tensor([0, 2, 1, 1, 0])
    ours = soft_cross_entropy(logits, hard_labels(own, CLASSES).double())
    assert float(ours) == pytest.approx(float(F.cross_entropy(logits, own)), rel=1e-12)
    assert hard_labels(own, CLASSES).softmax(1).eq(F.one_hot(own, CLASSES)).all()


def test_student_is_plain_gradient_descent() -> None:
    problem = Problem(batch=7, steps=3, operations=[], soft=True, norm="instance")
    student = problem.student()
    theta = problem.start
    for step in problem.steps:
        batch = problem.images[step.indices], problem.labels[step.indices]
        theta = theta - problem.syn_lr * problem.gradient(theta, *batch)
    assert torch.equal(student.weights[-1], theta)
    distance = (problem.start - problem.target).square().sum()
    assert float(student.loss) == pytest.approx(
        float((theta - problem.target).square().sum() / distance), rel=1e-12
    )
