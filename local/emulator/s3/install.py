"""Put all this in the places of ministack's parts."""

from ministack.services import s3
from ministack.services.cloudformation import provisioners

from local.emulator import cloudformation
from local.emulator.s3 import answers, archives, lifecycle
from local.emulator.timers import TIMERS


def install() -> None:
    """Replace what ministack lacks or does otherwise, and let lifecycle rules be carried out."""
    s3._dispatch = answers.dispatched(archives.dispatched(s3._dispatch))
    s3._list_object_versions = answers.list_object_versions
    s3._get_object = archives.get_object
    s3._copy_object = archives.copy_object
    s3._sync_restore = archives.sync_restore
    s3._object_record_from_version = archives.record_from_version
    cloudformation.let_buckets_lock(provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"])
    TIMERS.sources.append(lifecycle.LIFECYCLE)
