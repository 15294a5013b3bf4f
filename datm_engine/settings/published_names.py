"""The names of settings in the code published with MTT, FTD, TESLA and DATM, and what each is here.

Sources: the arguments of MTT's, FTD's and TESLA's `buffer` and `distill` scripts, and the keys of
DATM's YAML files. Several names resemble a key of another meaning, so this table is asked before
any likeness.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedName:
    """`keys`: its counterparts as "table.key", empty if there is none. `meaning`: what it sets, or
    why it has no counterpart."""

    keys: tuple[str, ...]
    meaning: str


def _is(key: str, meaning: str) -> PublishedName:
    return PublishedName((key,), meaning)


def _both(first: str, second: str, meaning: str) -> PublishedName:
    return PublishedName((first, second), meaning)


def _none(reason: str) -> PublishedName:
    return PublishedName((), reason)


_DISTILL = {
    "ipc": _is("distill.ipc", "synthetic images per class"),
    "Iteration": _is("distill.iterations", "iterations of the distillation"),
    "syn_steps": _is("distill.syn_steps", "N, the student's steps in an iteration"),
    "expert_epochs": _is("distill.expert_epochs", "M, expert epochs from start to target"),
    "min_start_epoch": _is("distill.min_start_epoch", "T⁻, the first start epoch"),
    "current_max_start_epoch": _is(
        "distill.initial_max_start_epoch", "T, the bound of the start epoch at iteration 0"
    ),
    "Initial_Step": _is(
        "distill.initial_max_start_epoch", "T, the bound of the start epoch at iteration 0"
    ),
    "max_start_epoch": _is("distill.max_start_epoch", "T⁺, the final bound of the start epoch"),
    "expansion_end_epoch": _is(
        "distill.expansion_iterations", "it counts iterations, over which T grows to T⁺"
    ),
    "learn_end_epoch": _is(
        "distill.expansion_iterations", "it counts iterations, over which T grows to T⁺"
    ),
    "Sequential_Generation": _is(
        "distill.expansion_iterations", "False is 0 here: T = T⁺ throughout"
    ),
    "batch_syn": _is("distill.batch_syn", "synthetic images in a student's step"),
    "lr_img": _is("distill.lr_images", "learning rate of the images"),
    "lr_y": _is("distill.lr_labels", "learning rate of the labels"),
    "lr_lr": _is("distill.lr_lr", "learning rate of η"),
    "Momentum_y": _is("distill.momentum_labels", "momentum of the labels"),
    "threshold": _is("distill.threshold", "largest matching loss at which a step is taken"),
    "pix_init": _is("distill.images", "where the images start: correct, random (real) or noise"),
    "ema_decay": _is("distill.averaging", "FTD's decay of the images' average; DATM ignores it"),
    "teacher_label": PublishedName(
        ("distill.labels", "distill.label_experts", "distill.lr_labels"),
        "TESLA's fixed labels of an expert: soft, one and 0, as --method tesla has them",
    ),
    "lr_init": _none("the published code does not read it"),
    "no_aug": _none("dataset.augmentation holds for distillation and evaluation alike"),
    "random_trajectory": _none("trajectories are always those of experts"),
    "texture": _none("textures are not distilled"),
    "canvas_size": _none("textures are not distilled"),
    "canvas_samples": _none("textures are not distilled"),
    "Label_Model_Timestamp": _none("labels start from the experts' last snapshots"),
    "Initialize_Label_With_Another_Model": _none("labels start from the experts' own network"),
    "Initialize_Label_Model": _none("labels start from the experts' own network"),
    "Initialize_Label_Model_Dir": _none("labels start from the experts' own network"),
}
_EXPERTS = {
    "num_experts": _is("experts.count", "how many experts"),
    "train_epochs": _is("experts.epochs", "epochs of each expert"),
    "lr_teacher": _both(
        "distill.syn_lr",
        "experts.lr",
        "the start of η in the distillation, and the experts' own learning rate in buffer.py",
    ),
    "batch_train": _both(
        "evaluate.batch",
        "experts.batch",
        "the evaluation's batch in the distillation, and the experts' own batch in buffer.py",
    ),
    "mom": _is("experts.momentum", "momentum of the experts"),
    "l2": _is("experts.weight_decay", "weight decay of the experts"),
    "rho": _is("experts.rho", "GSAM's radius"),
    "rho_max": _is("experts.rho", "GSAM's radius, which is constant: rho_max = rho_min"),
    "rho_min": _is("experts.rho", "GSAM's radius, which is constant: rho_max = rho_min"),
    "alpha": _is("experts.alpha", "GSAM's share of the orthogonal component"),
    "adaptive": _none("GSAM is always the adaptive one"),
    "decay": _none("the experts' learning rate is constant"),
    "loss_type": _none("experts are always trained with cross-entropy"),
    "save_interval": _none("each expert is a file of its own"),
    "load_all": _none("snapshots are read as they are needed"),
    "max_files": _none("experts.count is how many experts are matched"),
    "max_experts": _none("experts.count is how many experts are matched"),
    "buffer_path": _none("--experts-dir is where experts are; datm import reads replay buffers"),
}
_DATA = {
    "dataset": _is("dataset.name", "also --dataset"),
    "data_path": _none("--data-dir is where downloads are; --dataset takes a folder of images"),
    "subset": _none("--dataset takes a folder that holds this part of ImageNet"),
    "res": _is("dataset.resolution", "pixels a side"),
    "zca": _is("dataset.preprocessing", "zca, or normalize without it"),
    "zca_trans": _none("ZCA is fitted by datm and kept with the distilled set"),
    "dsa": _is("dataset.augmentation", "the operations, or none of them"),
    "dsa_strategy": _is("dataset.augmentation", "the operations, with commas between them"),
    "dsa_param": _none("the operations have DSA's parameters"),
    "dc_aug_param": _none("DC's augmentation is not used; dataset.augmentation is DSA's"),
    "batch_real": _none("it has no effect on what the published code makes"),
}
_EVALUATE = {
    "model": PublishedName(
        ("network.width", "network.depth", "network.norm"), "the ConvNet: ConvNetD4 has depth 4"
    ),
    "num_eval": _both(
        "evaluate.repeats",
        "evaluate.selection_repeats",
        "networks trained on the result, and on each candidate of the selection",
    ),
    "eval_it": _is("evaluate.selection_interval", "iterations between candidates"),
    "epoch_eval_train": _is("evaluate.epochs", "epochs on the distilled set"),
    "eval_mode": _is("evaluate.networks", "names of the networks that are evaluated"),
    "skip_first_eva": _none("the start is not a candidate of the selection"),
    "parall_eva": _none("torchrun uses several GPUs"),
}
_RUNNING = {
    "device": _none("--device names a GPU"),
    "project": _none("--log wandb logs the run"),
    "record_loss": _none("the loss of every iteration is recorded"),
    "force_save": _none("pictures are saved every distill.sample_interval iterations"),
    "save_path": _none("--runs-dir is where runs are"),
}

PUBLISHED = {**_DISTILL, **_EXPERTS, **_DATA, **_EVALUATE, **_RUNNING}
_PLAIN = {name.lower(): name for name in PUBLISHED}


def published_name(name: str) -> str | None:
    """The published name that `name` is in any letter case, with - or _; None if it is none."""
    return _PLAIN.get(name.lower().replace("-", "_"))


def counterpart(name: str) -> str | None:
    """What a published name is here, as a clause; None if `name` is no published name."""
    known = published_name(name)
    if known is None:
        return None
    found = PUBLISHED[known]
    if not found.keys:
        return f"the published {known} has no counterpart: {found.meaning}"
    *first, last = found.keys
    keys = f"{', '.join(first)} and {last}" if first else last
    return f"the published {known} is {keys} here: {found.meaning}"
