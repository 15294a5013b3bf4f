"""Write a set for DD-Ranking, which scores it by
LabelRobustScoreSoft(Config.from_file(YAML)).compute_metrics(image_tensor=…, soft_labels=…,
syn_lr=…).

Source: the keys that DD-Ranking's LabelRobustScoreSoft reads, with the values it gives DATM.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from datm_engine.errors import ConfigError, Setting
from datm_engine.files import save_text
from datm_engine.interop.tensor_files import save_soft
from datm_engine.settings.published import known_as
from datm_engine.synthetic import SyntheticSet

DATASETS = {"cifar10": "CIFAR10", "cifar100": "CIFAR100", "tinyimagenet": "TinyImageNet"}
# Our augmentation → DSA's parameters, each with its strength there and the value that turns it off.
# DSA draws one of the six in any case. Colour cannot be turned off.
_AUGMENTATION = {
    "flip": {"flip": (0.5, 0.0)},
    "rotate": {"rotate": (15.0, 0.0)},
    "color": {"saturation": (2.0, 2.0), "brightness": (1.0, 1.0), "contrast": (0.5, 0.5)},
    "scale": {"scale": (1.2, 1.0)},
    "crop": {"crop": (0.125, 0.0)},
    "cutout": {"cutout": (0.5, 0.0)},
}


def export(folder: Path, synthetic: SyntheticSet) -> list[Path]:
    """Write images.pt (as the student sees them), labels.pt (logits), lr.pt and ddranking.yaml.

    Raises ConfigError for a dataset or an augmentation that DD-Ranking lacks, and FileError.
    """
    wrong = ""
    if synthetic.augmentation and "color" not in synthetic.augmentation:
        wrong = f"DD-Ranking cannot augment by {', '.join(synthetic.augmentation)} without color"
    elif known_as(synthetic.dataset) not in DATASETS:
        wrong = f"DD-Ranking knows {', '.join(DATASETS)}, and not {synthetic.dataset}"
    if wrong:
        raise ConfigError(wrong, Setting("format", "official"))
    written = save_soft(folder, synthetic, suffix="")
    settings = folder / "ddranking.yaml"
    save_text(settings, yaml.safe_dump(parameters(synthetic), sort_keys=False))
    return [*written, settings]


def parameters(synthetic: SyntheticSet) -> dict[str, Any]:
    """The content of the YAML file."""
    side = list(synthetic.images.shape[2:])
    depth = synthetic.config.get("network", {}).get("depth", 4 if side[0] == 64 else 3)
    model = f"ConvNet-{depth}"  # DD-Ranking names its ConvNets by their depth
    strengths = {
        name: strength if operation in synthetic.augmentation else off
        for operation, parameters in _AUGMENTATION.items()
        for name, (strength, off) in parameters.items()
    }
    name = DATASETS[known_as(synthetic.dataset)]
    return {
        "dataset": name,
        "real_data_path": "./dataset/",
        "ipc": synthetic.ipc,
        "im_size": side,
        "model_name": model,
        "stu_use_torchvision": False,
        "tea_use_torchvision": False,
        "teacher_dir": "./teacher_models",
        "teacher_model_names": [model],
        "data_aug_func": "dsa" if synthetic.augmentation else None,
        "aug_params": strengths,
        "use_zca": synthetic.preprocessing.kind == "zca",
        "use_aug_for_hard": bool(synthetic.augmentation),
        "custom_train_trans": None,
        "custom_val_trans": None,
        "soft_label_mode": "S",
        "soft_label_criterion": "sce",
        "loss_fn_kwargs": {"temperature": 1.0, "scale_loss": False},
        "optimizer": "sgd",
        "lr_scheduler": "step",
        "step_size": 500,
        "weight_decay": 0.0005,
        "momentum": 0.9,
        "num_eval": 5,
        "num_epochs": 1000,
        "num_workers": 4,
        "device": "cuda",
        "dist": False,
        "eval_full_data": False,
        "syn_batch_size": 256,
        "real_batch_size": 256,
        "random_data_format": "tensor",
        "random_data_path": "./random_data",
        "save_path": f"./results/{name}/ipc{synthetic.ipc}.csv",
    }
