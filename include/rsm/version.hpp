// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The library's version, for the preprocessor: `#if RSM_VERSION >= 200` asks for 0.2.0 or later.
//
// What the headers declare is in rsm::v0 and raft::v0, after the major version, and found in rsm
// and raft: two major versions in one program are kept apart by the linker.
#ifndef RSM_VERSION_HPP
#define RSM_VERSION_HPP

#define RSM_VERSION_MAJOR 0
#define RSM_VERSION_MINOR 2
#define RSM_VERSION_PATCH 0

/// Major * 10,000 + minor * 100 + patch.
#define RSM_VERSION (RSM_VERSION_MAJOR * 10000 + RSM_VERSION_MINOR * 100 + RSM_VERSION_PATCH)

#endif
