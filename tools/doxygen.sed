# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# What Doxygen does not understand of the headers: inline namespaces in short, and specializations of
# templates that it has not read.
s/^namespace \([a-z:]*\)::inline v[0-9]* {/namespace \1 {/
s/^namespace \([a-z]*\)::inline v[0-9]*::detail {/namespace \1::detail {/
/^template <>$/{
N
s/template <>\nstruct \(boost::system\|std\)::is_error_code_enum.*//
}
