# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# What Doxygen does not understand of the headers: specializations of templates that it has not read.
s/^struct \(boost::system\|std\)::is_error_code_enum<.*//
