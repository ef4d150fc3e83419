//! What is to be done within an instance.

use serde::{Deserialize, Serialize};
use windlass_proto::id::FrameId;

/// Something to do within the instance, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Step {
    /// Go on to this position of the frame's list; past its end, the list is done.
    #[serde(rename = "a")]
    Advance {
        /// The frame.
        frame: FrameId,
        /// The position.
        position: u32,
    },
    /// Begin the next iteration of a `for`, or end it.
    #[serde(rename = "i")]
    Iterate {
        /// The frame.
        frame: FrameId,
        /// The iteration.
        index: u32,
    },
    /// Begin a branch of a `fork`.
    #[serde(rename = "b")]
    Branch {
        /// The frame of the `fork`.
        frame: FrameId,
        /// The branch.
        position: u32,
    },
    /// Begin `foreach` with the next event, if there is one.
    #[serde(rename = "e")]
    NextItem {
        /// The frame of the `listen`.
        frame: FrameId,
    },
    /// A timer that was due while the instance was suspended.
    #[serde(rename = "t")]
    Fire {
        /// The timer.
        timer: u32,
    },
    /// Begin a visit again that has failed.
    #[serde(rename = "r")]
    Again {
        /// The visit.
        frame: FrameId,
    },
    /// Begin the task of a visit that has got its share of a limit.
    #[serde(rename = "l")]
    Enter {
        /// The visit.
        frame: FrameId,
    },
}

impl Step {
    /// The frame whose list or iterations it goes on with.
    pub(in crate::engine) fn frame(&self) -> Option<FrameId> {
        match self {
            Self::Advance { frame, .. }
            | Self::Iterate { frame, .. }
            | Self::Branch { frame, .. }
            | Self::NextItem { frame }
            | Self::Again { frame }
            | Self::Enter { frame } => Some(*frame),
            Self::Fire { .. } => None,
        }
    }
}
