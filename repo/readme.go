package repo

// readme is the object "README": it tells whoever finds the storage what it is.
const readme = `This is a backup repository of Restante, a backup system for mail servers.

Everything in it but this text is encrypted. To restore from it you need the
program "restante" and a passphrase or key file of this repository; nothing
else, and no other copy of anything:

    restante -r THIS-FOLDER snapshots
    restante -r THIS-FOLDER mailboxes
    restante -r THIS-FOLDER restore NAME --target DIR
    restante -r THIS-FOLDER restore --all --target DIR

Without the passphrase or a key file nobody can read it.

Do not change, rename or delete single files in it. It may be copied as a
whole with any tool (cp -a, rsync -a).

    config/     who may open it; the highest number counts
    keys/       key files, in the format of age (age-encryption.org)
    packs/      the data
    index/      where what lies in the packs
    snapshots/  one object a backup
    intents/    backups that have begun
    forgotten/  which of these are no longer listed
    holds/      which of these stay listed
    damaged/    what was found to be lost
    marks/      what is going to be deleted
    seen/       which marks a backup has seen
    spares/     config/ and keys/ once more
`
