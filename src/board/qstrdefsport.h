/* SPDX-License-Identifier: MIT */
/* qstrs whose C name cannot be told from MP_QSTR_ alone. */
// *FORMAT-OFF*
Q(/lib)
Q(native)
