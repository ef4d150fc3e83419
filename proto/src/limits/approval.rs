//! Bounds of approvals, and of what starts when an instance faults.

/// Characters of the title of an approval: a line of a list, or the subject of a mail.
pub const APPROVAL_TITLE_CHARACTERS: usize = 200;

/// Characters of its description: a page. What is longer is at some other place, to which it links.
pub const APPROVAL_TEXT_CHARACTERS: usize = 4_000;

/// Roles and users that one approval may be assigned to, each. Larger groups are roles.
pub const APPROVAL_ASSIGNEES: usize = 50;

/// Bytes of the name of one of them: names of accounts are e-mail addresses or distinguished names.
pub const APPROVAL_ASSIGNEE_BYTES: usize = 512;

/// Bytes of the data that an approval gives. A form is what a person fills in; files are elsewhere.
pub const APPROVAL_DATA_BYTES: u64 = 256 << 10;

/// Open approvals that one request of a list looks at: of other workflows, or for other people,
/// there may be many, and a request must end.
pub const APPROVALS_LOOKED_AT: usize = 10_000;

/// Rows of open approvals that are read at once of all partitions: each may take 70 KB.
pub const APPROVAL_PAGE: usize = 128;

/// Rows that are read of one partition at least.
pub const APPROVAL_ROWS: usize = 8;

/// Bytes of rows after which a page of the list ends.
pub const APPROVAL_PAGE_BYTES: usize = 4 << 20;

/// Bytes of the input of a faulted instance that the instance gets which is started for it. What is
/// larger it can read by the id; a thousand faults at once must not double the journal.
pub const FAULT_INPUT_BYTES: u64 = 64 << 10;
