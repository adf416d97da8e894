"""Training of l2l_engine's networks, from videos to a plan. PyTorch lives here and nowhere else.

    python -m training all --config training/configs/demo.toml
    python -m training evaluate --config training/configs/demo.toml

``all`` runs ``render``, ``finetune``, ``features``, ``skim`` and ``export`` one after the other. Each is
also a command of its own, leaves its settings and metrics beside its output under the configuration's
``work`` folder, and continues from what is there: from the last epoch, the last checkpoint, the last video.
"""

import sys

# OpenVINO and NNCF tell their makers of every use, over the network, unless this package cannot be found.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
