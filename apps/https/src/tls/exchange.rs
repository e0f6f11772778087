//! Key exchange as rustls wants it: keys are drawn through a [`Recorder`], so that a flight can be
//! made a second time with the same share.

use alloc::boxed::Box;

use rustls::{
    Error, NamedGroup, PeerMisbehaved,
    crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup},
};

use super::{
    curves::{Curve, Pair},
    recorder::Recorder,
};

/// A curve, with the recorder that its keys are drawn through.
#[derive(Debug)]
pub struct Group {
    /// The curve.
    pub curve: Curve,
    /// Where its keys come from.
    pub recorder: &'static Recorder,
}

struct Exchange {
    curve: Curve,
    pair: Pair,
}

impl SupportedKxGroup for Group {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let curve = self.curve;
        let pair = self.recorder.pair(curve);
        Ok(Box::new(Exchange { curve, pair }))
    }

    fn name(&self) -> NamedGroup {
        self.curve.name()
    }
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let shared = self.curve.agree(&self.pair, peer);
        shared.ok_or(PeerMisbehaved::InvalidKeyShare.into())
    }

    fn pub_key(&self) -> &[u8] {
        self.pair.public()
    }

    fn group(&self) -> NamedGroup {
        self.curve.name()
    }
}
