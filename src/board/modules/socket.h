/* SPDX-License-Identifier: MIT */
/* What the socket module is made of. */
#pragma once

#include "py/obj.h"

extern const mp_obj_type_t socket_type;
