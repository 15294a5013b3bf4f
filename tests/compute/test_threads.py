"""The number of threads follows the work and the cores, and a resumed run keeps it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from typing import Any

import pytest
import torch

from datm_engine.compute import runtime, threads
from datm_engine.compute.ranks import Ranks
from datm_engine.errors import ConfigError
from datm_engine.settings.config import Config
from datm_engine.settings.image_size import Shape
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("work", "cores", "count"),
    [
        (0, 8, 1),
        (1.7e6, 2, 1),  # digits, a batch of 10
        (25e6, 2, 1),
        (38e6, 2, 2),  # 32×32, width 32, a batch of 10
        (38e6, 64, 2),
        (507e6, 64, 25),  # CIFAR-10's published network, a batch of 10
        (5e9, 2, 2),
        (float("inf"), 16, 16),
    ],
)
def test_threads_follow_the_work_up_to_the_cores(work: float, cores: int, count: int) -> None:
    assert threads.threads_for(work, cores) == count


def test_work_is_the_multiply_adds_of_the_convolutions(make_config: Any) -> None:
    network = make_config().network.model_copy(update={"width": 32, "depth": 2})
    first, second = 8 * 8 * 1 * 32 * 9, 4 * 4 * 32 * 32 * 9
    assert threads.convnet_work(network, (1, 8, 8), batch=3) == 3 * (first + second)


def test_a_student_step_takes_its_batch_of_the_synthetic_images(make_config: Any) -> None:
    config: Config = make_config()

    def work(**distill: Any) -> float:
        settings = config.distill.model_copy(update=distill)
        of = config.model_copy(update={"distill": settings})
        return threads.student_work(of, (1, 8, 8), classes=10)

    one = threads.convnet_work(config.network, (1, 8, 8), 1)
    assert work(ipc=1, batch_syn=100) == 10 * one
    assert work(ipc=50, batch_syn=100) == 100 * one
    assert work(ipc=50, batch_syn=100, mirrored=True) == 200 * one


def test_evaluation_takes_the_batches_of_the_set_or_of_all_images(make_config: Any) -> None:
    config: Config = make_config()

    def work(**evaluate: Any) -> float:
        settings = config.evaluate.model_copy(update=evaluate)
        of = config.model_copy(update={"evaluate": settings})
        return threads.evaluation_work(of, (1, 8, 8), 10)

    one = threads.convnet_work(config.network, (1, 8, 8), 1)
    assert work(networks=["convnet", "mlp"], against=["random"], batch=128) == 10 * one
    assert work(networks=["convnet", "mlp"], against=["full"], batch=128) == 128 * one
    assert work(networks=["convnet", "vgg11"], against=["random"]) == float("inf")


def test_a_run_takes_the_larger_of_its_students_and_its_evaluations_work(make_config: Any) -> None:
    config: Config = make_config()
    heavy = config.evaluate.model_copy(update={"networks": ["convnet", "resnet18"]})
    shape = Shape(10, 1, 8, 8)
    assert threads.run_work(config, shape) < threads.WORK_OF_A_THREAD
    with_resnet = config.model_copy(update={"evaluate": heavy})
    assert threads.run_work(with_resnet, shape) == float("inf")


@pytest.mark.parametrize(
    ("cores", "count"),
    [([[0, 1, 2, 3], [0, 1, 2, 3]], 4), ([[0, 1, 2, 3], [4, 5, 6, 7]], 8)],
)
def test_ranks_divide_the_cores_that_they_share(
    cores: list[list[int]], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a scheduler gives each rank cores of its own, each takes all of its own."""

    class Two(Ranks):
        def gather(self, value: Any) -> list[Any]:
            return [(value[0], set(own)) for own in cores]

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "available_cores", lambda: 8)
    monkeypatch.setattr(runtime, "core_numbers", lambda: cores[0])
    runtime._set_threads("auto", float("inf"), None, Two(0, 2, 0, 2))
    assert torch.get_num_threads() == count


def test_cores_are_those_of_the_affinity_mask() -> None:
    code = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); "
    code += "from datm_engine.compute.threads import available_cores; print(available_cores())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout == "1\n"


def test_cores_are_those_of_the_control_groups_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quota of 150 ms in every 100 ms is one core and a half, of which two threads make use."""
    from joblib.externals.loky.backend import context

    def opened(path: str) -> io.StringIO:
        assert path == "/sys/fs/cgroup/cpu.max"
        return io.StringIO("150000 100000\n")

    monkeypatch.setattr(context, "open", opened, raising=False)
    monkeypatch.setattr(context.os.path, "exists", lambda path: path.endswith("/cpu.max"))
    monkeypatch.setattr(context.os, "sched_getaffinity", lambda process: set(range(16)))
    monkeypatch.setattr(context.os, "cpu_count", lambda: 16)
    assert threads.available_cores() == 2


@pytest.mark.parametrize("name", threads.SPIN_VARIABLES)
def test_what_the_user_set_of_spinning_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    environment = {name: "of the user"}
    threads.limit_spinning(environment)
    assert environment == {name: "of the user"}


def test_spinning_is_limited_before_torch_is_imported_and_not_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    late: dict[str, str] = {}
    threads.limit_spinning(late)
    assert late == {}
    monkeypatch.delitem(sys.modules, "torch")
    early: dict[str, str] = {}
    threads.limit_spinning(early)
    assert early == {"GOMP_SPINCOUNT": str(threads.SPIN_COUNT)}


def test_every_command_limits_spinning_before_it_imports_torch() -> None:
    code = (
        "import os, sys; sys.argv = ['datm', '--version']\n"
        "import datm_cli.main as main\n"
        "assert 'torch' not in sys.modules\n"
        "try: main.main()\n"
        "except SystemExit: pass\n"
        "print(os.environ.get('GOMP_SPINCOUNT'))"
    )
    plain = {k: v for k, v in os.environ.items() if k not in threads.SPIN_VARIABLES}
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**plain, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.splitlines()[-1] == str(threads.SPIN_COUNT)


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of four, whose user has set no number of threads."""
    monkeypatch.setattr(threads, "available_cores", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.mark.usefixtures("cores")
@pytest.mark.parametrize(
    ("given", "work", "count"), [("auto", 1e6, 1), ("auto", 1e9, 4), ("3", 1e6, 3)]
)
def test_a_run_keeps_its_number_of_threads(given: str, work: float, count: int) -> None:
    on = runtime.start("cpu", threads=given, work=work)
    assert torch.get_num_threads() == count
    arithmetic = on.arithmetic
    assert arithmetic.threads == count
    torch.set_num_threads(1)
    runtime.start("cpu", before=arithmetic, work=0 if count > 1 else 1e12)
    assert torch.get_num_threads() == count


@pytest.mark.usefixtures("cores")
def test_a_run_does_not_resume_with_another_number_of_threads() -> None:
    arithmetic = runtime.start("cpu", threads="3").arithmetic
    with pytest.raises(ConfigError, match="threads 2: the run was begun with 3"):
        runtime.start("cpu", before=arithmetic, threads="2")
    runtime.start("cpu", before=arithmetic, threads="3")


def test_the_number_that_the_user_set_for_openmp_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    torch.set_num_threads(1)  # as an earlier run of the same process did
    assert runtime.start("cpu", work=1e6).arithmetic.threads == 3
    assert runtime.start("cpu", threads="2", work=1e6).arithmetic.threads == 2


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", "", "²", "5000"])
def test_another_number_of_threads_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=f"threads {text}: not auto or a number"):
        threads.parse_threads(text)
