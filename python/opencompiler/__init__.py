"""Compiled models for the CPU: `InferenceSession(path).run(None, {"x": array})`, as in onnxruntime."""

from opencompiler.session import InferenceSession, NodeArg, Refusal, SessionOptions

__all__ = ["InferenceSession", "NodeArg", "Refusal", "SessionOptions"]
