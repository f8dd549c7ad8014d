# SPDX-License-Identifier: Apache-2.0
"""Bazel's native C rules under the names that its own files load."""

cc_binary = native.cc_binary
cc_flags_supplier = None
cc_import = native.cc_import
cc_library = native.cc_library
cc_proto_library = native.cc_proto_library
cc_test = native.cc_test
cc_toolchain = native.cc_toolchain
cc_toolchain_suite = native.cc_toolchain_suite
compiler_flag = None
objc_import = native.objc_import
objc_library = native.objc_library
