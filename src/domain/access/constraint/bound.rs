//! One bound of a constraint: an operator and a version.

use std::cmp::Ordering;
use std::fmt;

use super::version::Version;

/// The relation between a version and the version of a [`Bound`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Op {
    /// Returns the operator as constraints write it; equality is `==`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    fn accepts(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An operator and the version that it compares with, such as `<2.0.0.0-dev`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bound {
    op: Op,
    version: Version,
}

impl Bound {
    pub(super) fn new(op: Op, version: Version) -> Self {
        Self { op, version }
    }

    /// Returns the operator.
    pub fn op(&self) -> Op {
        self.op
    }

    /// Returns the version to the right of the operator.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Reports whether the version satisfies this bound. Named branches have no order, so they
    /// satisfy equality with themselves, `!=` with anything else, and nothing more.
    pub fn allows(&self, version: &Version) -> bool {
        let unordered = self.version.is_named_branch() || version.is_named_branch();
        match self.op {
            Op::Equal | Op::NotEqual => self.op.accepts(version.cmp(&self.version)),
            _ if unordered => false,
            _ => self.op.accepts(version.cmp(&self.version)),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.op, self.version)
    }
}
