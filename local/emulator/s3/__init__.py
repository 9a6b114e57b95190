"""What ministack's S3 lacks or does otherwise than AWS: lifecycle, restores from archives, and some answers."""
