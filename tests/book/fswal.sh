fswal status /var/lib/engine/wal             # healthy? live? how far, how long does the disk last?
fswal verify /var/lib/engine/wal             # every byte, and the place of any damage
fswal recover --dry-run /var/lib/engine/wal  # what the next open would decide, changing nothing
fswal backup /var/lib/engine/wal /srv/backup # a copy that always opens, of a live log too
