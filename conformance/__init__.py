"""Does an implementation keep to the spec?  pytest conformance"""
