//! [`Room`]: who comes in by which key, who stands where, what a departure leads to.

use proptest::prelude::*;
use rsa::pkcs1::RsaPublicKeyRef;
use rsa::pkcs8::der::{Encode, asn1::UintRef};
use zeroize::Zeroizing;

use crate::protocol::codes::{OwnerLeaves, RoomClosedReason};
use crate::protocol::ids::{RoomId, UserId};
use crate::protocol::public_key::PublicKey;
use crate::room::{Admission, Aftermath, KeyLife, Millis, Newcomer, Refusal, Room, RoomOptions, Shown, WayIn};
use crate::secret::{TagKey, Token};

const MOST_KEYS: usize = 6;

/// Another key for every number.
fn public_key(salt: u8) -> PublicKey {
    let mut modulus = [0xa5; 256];
    (modulus[0], modulus[1]) = (0xc3, salt);
    let (modulus, exponent) = (UintRef::new(&modulus).unwrap(), UintRef::new(&[1, 0, 1]).unwrap());
    let der = RsaPublicKeyRef { modulus, public_exponent: exponent }.to_der().unwrap();
    PublicKey::from_pkcs1_der(&der).unwrap()
}

/// A session is a number here, and so is its public key; 0 has none.
pub(in crate::room) fn newcomer(session: u8, key: u8) -> Newcomer<u8> {
    Newcomer {
        username: Zeroizing::new(format!("user {session}")),
        public_key: (key > 0).then(|| public_key(key)),
        card: None,
        confirms: false,
        handle: session,
    }
}

/// What is done to a room. Members and keys are named by their place in the lists of the test, modulo their length.
#[derive(Clone, Debug)]
enum Step {
    Issue { count: usize, lives: Option<u8> },
    Forever { lives: Option<u8> },
    JoinOnetime { key: usize, session: u8, public_key: u8 },
    JoinForever { key: usize, session: u8 },
    JoinByGuess { session: u8 },
    JoinByTheOtherKind { key: usize, session: u8 },
    Revoke { key: usize },
    RevokeForever { key: usize },
    Reset,
    Depart { member: usize },
    DepartNobody,
    Transfer { member: usize },
    Wait(u8),
    Expire,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lives = || proptest::option::of(1u8..20);
    let step = prop_oneof![
        3 => (1usize..4, lives()).prop_map(|(count, lives)| Step::Issue { count, lives }),
        1 => lives().prop_map(|lives| Step::Forever { lives }),
        8 => (any::<usize>(), 0u8..6, 0u8..2).prop_map(|(key, session, public_key)| Step::JoinOnetime { key, session, public_key }),
        3 => (any::<usize>(), 0u8..6).prop_map(|(key, session)| Step::JoinForever { key, session }),
        1 => (0u8..6).prop_map(|session| Step::JoinByGuess { session }),
        1 => (any::<usize>(), 0u8..6).prop_map(|(key, session)| Step::JoinByTheOtherKind { key, session }),
        1 => any::<usize>().prop_map(|key| Step::Revoke { key }),
        1 => any::<usize>().prop_map(|key| Step::RevokeForever { key }),
        1 => Just(Step::Reset),
        4 => any::<usize>().prop_map(|member| Step::Depart { member }),
        1 => Just(Step::DepartNobody),
        2 => any::<usize>().prop_map(|member| Step::Transfer { member }),
        3 => (1u8..8).prop_map(Step::Wait),
        1 => Just(Step::Expire),
    ];
    proptest::collection::vec(step, 1..80)
}

/// A one-time key as the model knows it.
struct ModelKey {
    token: Token,
    open: bool,
    ends: Option<Millis>,
    bought: Option<UserId>,
}

struct ModelMember {
    user: UserId,
    session: u8,
    public_key: u8,
}

/// The room as a list of members and a list of keys.
struct Model {
    members: Vec<ModelMember>,
    owner: UserId,
    keys: Vec<ModelKey>,
    /// All forever keys that there ever were; only the last can be open.
    forever: Vec<ModelKey>,
    max_members: usize,
    owner_leaves: OwnerLeaves,
    now: Millis,
}

impl Model {
    fn open(&self, key: &ModelKey) -> bool {
        key.open && key.ends.is_none_or(|end| end > self.now)
    }

    fn unspent(&self) -> usize {
        self.keys.iter().filter(|key| self.open(key)).count()
    }

    /// What a join must come to, by a key that opens or not.
    fn join(&self, opens: bool, session: u8) -> Result<(), Refusal> {
        if !opens {
            Err(Refusal::Denied)
        } else if self.members.iter().any(|member| member.session == session) {
            Err(Refusal::AlreadyMember)
        } else if self.members.len() >= self.max_members {
            Err(Refusal::Full)
        } else {
            Ok(())
        }
    }

    fn next_expiry(&self, room_ends: Option<Millis>) -> Option<Millis> {
        let keys = self.keys.iter().chain(&self.forever).filter(|key| self.open(key));
        keys.filter_map(|key| key.ends).chain(room_ends).min()
    }
}

fn life(lives: Option<u8>, now: Millis) -> (KeyLife, Option<Millis>) {
    let end = lives.map(|lives| now + Millis::from(lives));
    (end.map_or(KeyLife::Room, KeyLife::Until), end)
}

/// Admits `session`, and compares with what the model says.
fn admit(
    room: &mut Room<u8>,
    model: &mut Model,
    tags: &TagKey,
    way: WayIn,
    token: &Token,
    (session, key): (u8, u8),
    expected: Result<(), Refusal>,
) {
    let is_member = model.members.iter().any(|member| member.session == session);
    let tag = tags.tag(token);
    let admission = room.admit(way, Shown { tag: &tag, token }, newcomer(session, key), is_member, model.now);
    match (admission, expected) {
        (Ok(Admission::New(user)), Ok(())) => {
            assert!(model.members.iter().all(|member| member.user != user));
            model.members.push(ModelMember { user, session, public_key: key });
        }
        (Err(refusal), Err(expected)) => assert_eq!(refusal, expected),
        (admission, expected) => panic!("{admission:?} where the model says {expected:?}"),
    }
}

fn run(steps: &[Step], max_members: usize, owner_leaves: OwnerLeaves) {
    let tags = TagKey::random();
    let options = RoomOptions { max_members, expires_at: Some(1_000), owner_leaves };
    let (mut room, owner) = Room::new(RoomId::random(), Zeroizing::new("tea".into()), options, newcomer(0, 0));
    let first = ModelMember { user: owner, session: 0, public_key: 0 };
    let mut model =
        Model { members: vec![first], owner, keys: vec![], forever: vec![], max_members, owner_leaves, now: 10 };
    let mut version = 1;
    for step in steps {
        let before = model.members.len();
        match *step {
            Step::Issue { count, lives } => {
                let (life, ends) = life(lives, model.now);
                let issued = room.keys.issue(&tags, count, life, MOST_KEYS, model.now);
                assert_eq!(issued.is_some(), model.unspent() + count <= MOST_KEYS);
                for token in issued.into_iter().flatten() {
                    model.keys.push(ModelKey { token, open: true, ends, bought: None });
                }
            }
            Step::Forever { lives } => {
                let (life, ends) = life(lives, model.now);
                let token = room.keys.forever(&tags, lives.map(|_| life), model.now);
                let lasts = model.forever.last().is_some_and(|key| model.open(key));
                if lasts {
                    let old = model.forever.last_mut().unwrap();
                    assert!(old.token.matches(&token), "the forever key stays the same");
                    old.ends = if lives.is_some() { ends } else { old.ends };
                } else {
                    assert!(model.forever.iter().all(|old| !old.token.matches(&token)));
                    model.forever.push(ModelKey { token, open: true, ends, bought: None });
                }
            }
            Step::JoinOnetime { key, session, public_key } => {
                let Some(index) = (!model.keys.is_empty()).then(|| key % model.keys.len()) else { continue };
                let key = &model.keys[index];
                let token = key.token.duplicate();
                let own = key.bought.and_then(|user| model.members.iter().find(|member| member.user == user));
                if let Some(own) = own.filter(|own| own.session == session && own.public_key == public_key) {
                    let tag = tags.tag(&token);
                    let again = room.admit(
                        WayIn::Onetime,
                        Shown { tag: &tag, token: &token },
                        newcomer(session, public_key),
                        true,
                        model.now,
                    );
                    assert_eq!(again, Ok(Admission::Again(own.user)));
                    continue;
                }
                let expected = model.join(model.open(key), session);
                admit(&mut room, &mut model, &tags, WayIn::Onetime, &token, (session, public_key), expected);
                if expected.is_ok() {
                    let user = model.members.last().unwrap().user;
                    let key = &mut model.keys[index];
                    (key.open, key.bought) = (false, Some(user));
                }
            }
            Step::JoinForever { key, session } => {
                let Some(index) = (!model.forever.is_empty()).then(|| key % model.forever.len()) else { continue };
                let token = model.forever[index].token.duplicate();
                let expected = model.join(model.open(&model.forever[index]), session);
                admit(&mut room, &mut model, &tags, WayIn::Forever, &token, (session, 0), expected);
            }
            Step::JoinByGuess { session } => {
                for way in [WayIn::Onetime, WayIn::Forever] {
                    admit(&mut room, &mut model, &tags, way, &Token::random(), (session, 0), Err(Refusal::Denied));
                }
            }
            Step::JoinByTheOtherKind { key, session } => {
                for (way, keys) in [(WayIn::Forever, &model.keys), (WayIn::Onetime, &model.forever)] {
                    let Some(index) = (!keys.is_empty()).then(|| key % keys.len()) else { continue };
                    let token = keys[index].token.duplicate();
                    let tag = tags.tag(&token);
                    let admission =
                        room.admit(way, Shown { tag: &tag, token: &token }, newcomer(session, 0), false, model.now);
                    assert_eq!(admission, Err(Refusal::Denied));
                }
            }
            Step::Revoke { key } => {
                let Some(index) = (!model.keys.is_empty()).then(|| key % model.keys.len()) else { continue };
                let open = model.open(&model.keys[index]);
                let token = &model.keys[index].token;
                assert_eq!(room.keys.revoke(&tags.tag(token), token, model.now), open);
                model.keys[index].open = false;
            }
            Step::RevokeForever { key } => {
                let Some(index) = (!model.forever.is_empty()).then(|| key % model.forever.len()) else { continue };
                let open = model.open(&model.forever[index]);
                let token = &model.forever[index].token;
                assert_eq!(room.keys.revoke(&tags.tag(token), token, model.now), open);
                model.forever[index].open = false;
            }
            Step::Reset => {
                room.keys.reset();
                model.keys.iter_mut().chain(&mut model.forever).for_each(|key| key.open = false);
                assert!(room.keys.is_empty());
            }
            Step::Depart { member } => {
                let index = member % model.members.len();
                let gone = model.members.remove(index);
                let (member, aftermath) = room.depart(&gone.user, |_| true).expect("a member");
                assert_eq!(member.handle, gone.session);
                assert!(room.depart(&gone.user, |_| true).is_none(), "nobody departs twice");
                let expected = match model.members.first() {
                    None => Aftermath::Empty,
                    Some(_) if gone.user != model.owner => Aftermath::GoesOn,
                    Some(_) if model.owner_leaves == OwnerLeaves::Close => Aftermath::Ends(RoomClosedReason::OwnerLeft),
                    Some(heir) => {
                        model.owner = heir.user;
                        Aftermath::NewOwner(heir.user)
                    }
                };
                assert_eq!(aftermath, expected);
                if matches!(aftermath, Aftermath::Empty | Aftermath::Ends(_)) {
                    return;
                }
            }
            Step::DepartNobody => assert!(room.depart(&UserId::random(), |_| true).is_none()),
            Step::Transfer { member } => {
                assert!(!room.transfer(&UserId::random()));
                let to = model.members[member % model.members.len()].user;
                assert!(room.transfer(&to));
                model.owner = to;
            }
            Step::Wait(time) => model.now += Millis::from(time),
            Step::Expire => {
                room.keys.expire(model.now);
                let forever = model.forever.last().is_some_and(|key| model.open(key));
                assert_eq!(room.keys.len(), model.unspent() + usize::from(forever));
                assert_eq!(room.next_expiry(), model.next_expiry(Some(1_000)));
            }
        }
        let members: Vec<_> = room.members().map(|(user, member)| (user, member.handle)).collect();
        let expected: Vec<_> = model.members.iter().map(|member| (member.user, member.session)).collect();
        assert_eq!(members, expected, "longest-standing first");
        assert_eq!((room.len(), room.owner(), room.is_empty()), (model.members.len(), model.owner, false));
        version += before.abs_diff(model.members.len()) as u64;
        assert_eq!(room.version(), version, "every join and every departure counts");
        assert!(room.members().is_sorted_by_key(|(_, member)| member.since));
        assert_eq!(room.is_over(model.now), model.now >= 1_000);
        assert_eq!(usize::from(!room.keys.is_empty()), room.keys.len().min(1));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn a_room_does_what_its_model_does(steps in steps(), max_members in 1usize..5, transfer: bool) {
        run(&steps, max_members, if transfer { OwnerLeaves::Transfer } else { OwnerLeaves::Close });
    }
}

#[test]
fn a_life_ends_at_its_last_millisecond() {
    let tags = TagKey::random();
    let options = RoomOptions { max_members: 3, expires_at: Some(100), owner_leaves: OwnerLeaves::Close };
    let (mut room, _) = Room::new(RoomId::random(), Zeroizing::new(String::new()), options, newcomer(0, 0));
    let keys = room.keys.issue(&tags, 2, KeyLife::Until(50), 9, 0).unwrap();
    let enter = |room: &mut Room<u8>, key: &Token, session, now| {
        room.admit(WayIn::Onetime, Shown { tag: &tags.tag(key), token: key }, newcomer(session, 0), false, now)
    };
    assert_eq!(enter(&mut room, &keys[0], 1, 50), Err(Refusal::Denied));
    assert!(matches!(enter(&mut room, &keys[0], 1, 49), Ok(Admission::New(_))));
    assert_eq!(room.next_expiry(), Some(50));
    room.keys.expire(50);
    assert_eq!((room.keys.len(), room.next_expiry()), (0, Some(100)));
    assert!(!room.is_over(99) && room.is_over(100));
}

#[test]
fn a_key_is_bought_again_only_by_its_buyer_while_it_is_in() {
    let tags = TagKey::random();
    let options = RoomOptions { max_members: 9, expires_at: None, owner_leaves: OwnerLeaves::Close };
    let (mut room, _) = Room::new(RoomId::random(), Zeroizing::new(String::new()), options, newcomer(0, 0));
    let key = room.keys.issue(&tags, 1, KeyLife::Room, 9, 0).unwrap().remove(0);
    let mut enter = |session, public_key, is_member| {
        room.admit(
            WayIn::Onetime,
            Shown { tag: &tags.tag(&key), token: &key },
            newcomer(session, public_key),
            is_member,
            0,
        )
    };
    let Ok(Admission::New(user)) = enter(1, 1, false) else { panic!("the key opens") };
    assert_eq!(enter(1, 1, true), Ok(Admission::Again(user)));
    assert_eq!(enter(2, 1, false), Err(Refusal::Denied), "another session with the same public key");
    assert_eq!(enter(1, 2, true), Err(Refusal::Denied), "the same session with another public key");
    room.depart(&user, |_| true).unwrap();
    let refused = room.admit(WayIn::Onetime, Shown { tag: &tags.tag(&key), token: &key }, newcomer(1, 1), false, 0);
    assert_eq!(refused, Err(Refusal::Denied));
}

#[test]
fn a_card_is_replaced_for_members_alone() {
    let options = RoomOptions { max_members: 9, expires_at: None, owner_leaves: OwnerLeaves::Close };
    let (mut room, owner) = Room::new(RoomId::random(), Zeroizing::new(String::new()), options, newcomer(0, 0));
    assert_eq!((room.name(), room.next_place()), ("", 1));
    assert!(room.set_card(&owner, Zeroizing::new("card".into())));
    assert_eq!(room.member(&owner).unwrap().card.as_deref().map(String::as_str), Some("card"));
    assert!(!room.set_card(&UserId::random(), Zeroizing::new("card".into())));
}
