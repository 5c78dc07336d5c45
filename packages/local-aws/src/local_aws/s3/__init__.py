"""S3's object operations, in front of moto's.

moto holds each body in memory on its way in and out, deep-copies whole buckets to list versions, and looks
at conditions and writes without a lock between. These operations work on the same buckets and keys (`keys`)
but stream, and check and write as one step. What is not here (bucket configuration, tagging, ACLs, object
lock, select, forms, ...) goes to moto.

The reference is https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html

In layers: errors, keys -> wire, content -> conditions, store, call -> operations -> multipart, listing -> service.
"""
