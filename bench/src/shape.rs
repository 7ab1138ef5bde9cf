//! What a run does: its shape and its sizes.

use clap::{Args, ValueEnum};

/// Where the load comes from and goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Shape {
    /// One room; some members send to one other member at a time, as fast as the window allows.
    Unicast,
    /// One room; a member sends to everybody else, with a `send-message` each.
    Fanout,
    /// The same with `send-messages`: one payload for all and a wrapped key for each, as this program's own clients
    /// send.
    Packet,
    /// Many small rooms; in each, one member sends to all others in turn.
    Rooms,
    /// As unicast, at a fixed rate.
    Rate,
    /// Members that do nothing: memory and handshakes.
    Idle,
    /// One room at a moderate rate, alone and then beside a room that floods.
    Fairness,
    /// One room at a moderate rate, alone and then beside fan-outs in a very large room.
    FloodFanout,
    /// A calm room of 5 members at 20 messages a second, alone and then under attack from one address.
    Hostile,
    /// Members that lose their connections: memory of each absent session, and the return of all.
    Absent,
}

/// The work on which relays are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Preset {
    /// Unicast: 100 members, 10 senders with 64 messages under way each, 256 bytes.
    S1,
    /// Fan-out: 1 to 99, 256 bytes, 4 under way.
    S2,
    /// Fan-out: 1 to 999, 1 KiB, 2 under way.
    S3,
    /// 500 rooms of 10, 256 bytes, 9 under way in each.
    S4,
    /// 5,000 messages a second.
    S5,
    /// 10,000 idle members in 1,000 rooms.
    S6,
}

/// The recipients of one sender, in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Targets {
    /// Members that nobody else sends to, and that do not send.
    Disjoint,
    /// Every other member.
    All,
}

/// Sizes; each has a default that goes with the shape.
#[derive(Clone, Debug, Args)]
pub(super) struct Sizes {
    /// What the load looks like.
    #[arg(long, value_enum, default_value_t = Shape::Unicast, hide_default_value = true)]
    pub(super) shape: Shape,
    /// Takes shape and sizes of a known comparison; sizes that are given hold instead.
    #[arg(long, value_enum, conflicts_with = "shape")]
    pub(super) preset: Option<Preset>,
    /// Members of each room.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    members: Option<u32>,
    /// Rooms.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rooms: Option<u32>,
    /// Rooms in which somebody sends; by default all. In the others members are only there.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    active_rooms: Option<u32>,
    /// Members of each room that send.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    senders: Option<u32>,
    /// Bytes of a payload; at least 26, which its time stamp needs.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(26..=8_388_608))]
    payload: Option<u32>,
    /// With `packet`: bytes of each recipient's own part beside the payload, where clients put a wrapped key.
    #[arg(long, value_name = "BYTES", default_value_t = 520)]
    key_bytes: u32,
    /// Messages (or whole fan-outs) that each sender has under way.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    inflight: Option<u64>,
    /// Messages a second over all senders, as delivered; 0: as fast as the window allows.
    #[arg(long, value_name = "PER_S", value_parser = not_negative)]
    rate: Option<f64>,
    /// The recipients.
    #[arg(long, value_enum)]
    targets: Option<Targets>,
    /// Seconds to measure.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, value_parser = not_negative)]
    duration: f64,
    /// Seconds of load before that.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = not_negative)]
    warmup: f64,
}

fn not_negative(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    (number.is_finite() && number >= 0.0).then_some(number).ok_or_else(|| "must not be negative".to_owned())
}

/// A run, with every size settled.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub(super) struct Plan {
    pub(super) shape: Shape,
    pub(super) members: usize,
    pub(super) rooms: usize,
    /// Rooms in which somebody sends.
    pub(super) active_rooms: usize,
    /// Of each such room.
    pub(super) senders: usize,
    /// In bytes.
    pub(super) payload: usize,
    /// Bytes beside the payload for each recipient of a packet.
    pub(super) key_bytes: usize,
    /// For each sender.
    pub(super) inflight: u64,
    /// Messages a second in all; 0 for as many as go.
    pub(super) rate: f64,
    pub(super) targets: Targets,
    pub(super) duration_s: f64,
    pub(super) warmup_s: f64,
}

impl Sizes {
    pub(super) fn plan(&self) -> Plan {
        let (shape, members, rooms, senders, payload, inflight, rate) = match self.preset {
            None => match self.shape {
                shape @ Shape::Unicast => (shape, 100, 1, 10, 256, 64, 0.0),
                shape @ (Shape::Fanout | Shape::Packet) => (shape, 100, 1, 1, 256, 4, 0.0),
                shape @ Shape::Rooms => (shape, 10, 500, 1, 256, 9, 0.0),
                shape @ Shape::Rate => (shape, 100, 1, 10, 256, 64, 5_000.0),
                shape @ Shape::Idle => (shape, 10, 1_000, 1, 256, 1, 0.0),
                shape @ Shape::Fairness => (shape, 100, 1, 10, 256, 64, 500.0),
                shape @ Shape::Hostile => (shape, 5, 1, 5, 256, 64, 20.0),
                shape @ Shape::Absent => (shape, 10, 1_000, 1, 256, 1, 0.0),
                shape @ Shape::FloodFanout => (shape, 10_000, 1, 1, 256, 1, 500.0),
            },
            Some(Preset::S1) => (Shape::Unicast, 100, 1, 10, 256, 64, 0.0),
            Some(Preset::S2) => (Shape::Fanout, 100, 1, 1, 256, 4, 0.0),
            Some(Preset::S3) => (Shape::Fanout, 1_000, 1, 1, 1_024, 2, 0.0),
            Some(Preset::S4) => (Shape::Rooms, 10, 500, 1, 256, 9, 0.0),
            Some(Preset::S5) => (Shape::Rate, 100, 1, 10, 256, 64, 5_000.0),
            Some(Preset::S6) => (Shape::Idle, 10, 1_000, 1, 256, 1, 0.0),
        };
        let members = self.members.map_or(members, |members| members as usize);
        let rooms = self.rooms.map_or(rooms, |rooms| rooms as usize);
        let targets = self.targets.unwrap_or(if shape == Shape::Rooms { Targets::All } else { Targets::Disjoint });
        // With targets of their own, senders need as many members again.
        let most = if targets == Targets::Disjoint { (members / 2).max(1) } else { members };
        Plan {
            shape,
            members,
            rooms,
            active_rooms: self.active_rooms.map_or(rooms, |active| active as usize).min(rooms),
            senders: self.senders.map_or(senders, |senders| senders as usize).min(most),
            payload: self.payload.map_or(payload, |payload| payload as usize),
            key_bytes: if shape.is_packet() { self.key_bytes as usize } else { 0 },
            inflight: self.inflight.unwrap_or(inflight),
            rate: self.rate.unwrap_or(rate),
            targets,
            duration_s: self.duration,
            warmup_s: self.warmup,
        }
    }
}

impl Shape {
    /// One sending is for everybody else in the room.
    pub(super) fn is_fanout(self) -> bool {
        matches!(self, Self::Fanout | Self::Packet | Self::FloodFanout)
    }

    /// It is sent as `send-messages`.
    pub(super) fn is_packet(self) -> bool {
        matches!(self, Self::Packet | Self::FloodFanout)
    }
}

impl Plan {
    /// Connections, one a member.
    pub(super) fn connections(&self) -> usize {
        self.members * self.rooms
    }

    /// The members, counted over all rooms, that member `sender` of room `room` sends to in turn.
    pub(super) fn targets_of(&self, room: usize, sender: usize) -> Vec<usize> {
        let mine = |member: &usize| match self.targets {
            _ if *member == sender => false,
            Targets::All => true,
            Targets::Disjoint if self.senders == 1 => true,
            Targets::Disjoint => *member >= self.senders && *member % self.senders == sender,
        };
        (0..self.members).filter(mine).map(|member| room * self.members + member).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        sizes: Sizes,
    }

    pub(crate) fn plan(words: &str) -> Plan {
        Line::try_parse_from(["bench"].into_iter().chain(words.split_whitespace())).unwrap().sizes.plan()
    }

    fn refused(words: &str) -> bool {
        Line::try_parse_from(["bench"].into_iter().chain(words.split_whitespace())).is_err()
    }

    #[test]
    fn sizes_follow_the_shape_unless_given() {
        assert_eq!(plan(""), plan("--shape unicast"));
        let given = plan("--shape rooms --members 4 --inflight 2 --payload 26 --duration 0.5");
        assert_eq!((given.members, given.rooms, given.inflight, given.payload), (4, 500, 2, 26));
        assert_eq!((given.targets, given.duration_s), (Targets::All, 0.5));
        assert_eq!(
            (plan("--members 9 --senders 9").senders, plan("--members 3 --senders 9 --targets all").senders),
            (4, 3)
        );
        let active = |words| plan(words).active_rooms;
        assert_eq!((active("--rooms 3"), active("--rooms 3 --active-rooms 2"), active("--active-rooms 9")), (3, 2, 1));
        assert_eq!((plan("--shape packet").key_bytes, plan("--shape fanout").key_bytes), (520, 0));
    }

    #[test]
    fn presets_are_the_shapes_of_the_same_names() {
        for (preset, shape) in [("s1", "unicast"), ("s2", "fanout"), ("s4", "rooms"), ("s5", "rate"), ("s6", "idle")] {
            assert_eq!(plan(&format!("--preset {preset}")), plan(&format!("--shape {shape}")));
        }
        let large = plan("--preset s3");
        assert_eq!((large.shape, large.members, large.payload, large.inflight), (Shape::Fanout, 1_000, 1_024, 2));
        assert_eq!(plan("--preset s2 --inflight 1").inflight, 1);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let senseless = [
            "--members 1",
            "--rooms 0",
            "--payload 25",
            "--rate -1",
            "--inflight 0",
            "--preset s1 --shape rooms",
            "--duration x",
        ];
        assert!(senseless.into_iter().all(refused));
    }

    #[test]
    fn disjoint_targets_share_nobody() {
        let disjoint = plan("--members 10 --senders 3");
        assert_eq!(disjoint.targets_of(0, 0), [3, 6, 9]);
        assert_eq!(disjoint.targets_of(2, 1), [24, 27]);
        assert_eq!(plan("--members 3 --senders 1").targets_of(1, 0), [4, 5]);
        assert_eq!(plan("--members 3 --senders 3 --targets all").targets_of(0, 1), [0, 2]);
    }
}
