/* SPDX-License-Identifier: MIT */
/* The host's certificates, for the frozen ssl module. */
#pragma once

#include "py/obj.h"

MP_DECLARE_CONST_FUN_OBJ_0(tls_ca_certificates_obj);
