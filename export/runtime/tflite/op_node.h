/* SPDX-License-Identifier: Apache-2.0 */
/* One Gxnor* node of a model: Init, Prepare and Invoke of its kernel. */
#ifndef GXNOR_OP_NODE_H_
#define GXNOR_OP_NODE_H_

#include "tflite_abi.h"

/* The kernel that stands for one node. Init reads the node and its options,
 * Prepare checks everything and sizes the output, Invoke computes. */
TfLiteRegistration gxnor_op_node_registration(void);

#endif /* GXNOR_OP_NODE_H_ */
