"""The scorer in this process: ONNX Runtime, then the calibration. Never late, so timeouts are ignored."""

import math

import numpy as np
import onnxruntime

from shortlist.arrays import FloatArray
from shortlist.ranking.scorer import Calibration, Scorer, ScorerUnavailable


class OnnxScorer(Scorer):
    """One LambdaRank model as ONNX, on one thread: the cores are shared by requests."""

    def __init__(
        self, model: bytes, *, feature_names: tuple[str, ...], calibration: Calibration, model_version: str
    ) -> None:
        """Raises ScorerUnavailable when the bytes are no ONNX model."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own errors have no common type but Exception
            raise ScorerUnavailable(f"ranker {model_version} cannot be loaded: {error}") from error
        self._input = self._session.get_inputs()[0].name
        self.model_version, self.feature_names, self.calibration = model_version, feature_names, calibration

    def score(self, features: FloatArray, *, timeout_s: float) -> FloatArray:
        """Its scores of `positions`."""
        if not len(features):
            return np.zeros(0, np.float32)
        (raw,) = self._session.run(None, {self._input: np.ascontiguousarray(features, np.float32)})
        scores = self.calibration.probability(np.asarray(raw, np.float32).ravel())
        if len(scores) != len(features) or not math.isfinite(scores.sum()):  # one that is not makes it so
            raise ScorerUnavailable(f"ranker {self.model_version} answered with something that is no score")
        return scores
