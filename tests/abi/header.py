"""What the ABI tests read from a flashstrike_wal.h."""

import re

STRUCT = re.compile(r"^typedef struct (\w+) \{$(.*?)^\} \1;$", re.S | re.M)


class Header:
    """The declarations in the text of a header."""

    def __init__(self, text):
        self.text = text
        self.code = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)
        code = self.code.replace("FS_WAL_MUST_CHECK", "")
        # A function's declaration without the semicolon, by its name.
        self.functions = {found[2]: " ".join(found[1].split()) for found in re.finditer(
            r"^\s*((?:const char|void|fs_wal_status)\s+\*?(fs_wal_\w+)\([^;{}]*\));", code, re.M)}
        # The lines of a struct, by its name.
        self.structs = {name: body for name, body in STRUCT.findall(self.code)}
        self.constants = dict(re.findall(r"^#define (FS_WAL_\w+) (?![_[])(\S.*)$", self.code, re.M))

    def growing(self):
        """The structs that may get more fields at their end."""
        return [name for name, body in self.structs.items()
                if body.split(";")[0].split() == ["uint32_t", "struct_size"]]

    def fields(self, struct):
        """The declarations of its fields."""
        return [field.strip() for field in self.structs[struct].split(";")[:-1]]

    def last_field(self, struct):
        """The name of its last field."""
        return re.search(r"(\w+)(\[\w+\])?$", self.fields(struct)[-1])[1]

    def with_fields(self, fields_of):
        """This header with other fields in the structs that grow: `fields_of(name, fields)`."""
        def rewritten(found):
            if found[1] not in self.growing():
                return found[0]
            fields = fields_of(found[1], self.fields(found[1]))
            lines = "".join(f"    {field};\n" for field in fields)
            return f"typedef struct {found[1]} {{\n{lines}}} {found[1]};"
        return Header(STRUCT.sub(rewritten, self.text))

    def grown(self):
        """The header of a later version: each of these structs has a field more."""
        return self.with_fields(lambda name, fields: [*fields, "uint64_t appended[3]"])

    def cut_to(self, older):
        """This header without the fields that have been added to these structs since an older."""
        return self.with_fields(lambda name, fields: fields[:len(older.fields(name))]
                                if name in older.structs else fields)
