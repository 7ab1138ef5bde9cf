//! A room against a model: plain lists of who is in it and which keys open it.

use subrosa::protocol::codes::OwnerLeaves;
use subrosa::protocol::ids::{RoomId, UserId};
use subrosa::protocol::public_key::PublicKey;
use subrosa::room::{Admission, Aftermath, KeyLife, Newcomer, Refusal, Room, RoomOptions, Shown, WayIn};
use subrosa::secret::{TagKey, Token};

const MOST_MEMBERS: usize = 4;
const MOST_KEYS: usize = 5;

struct Key {
    token: Token,
    until: Option<u64>,
    works: bool,
}

/// Each pair of bytes is a step: what is done, and to which of the members or keys.
pub(super) fn room(data: &[u8]) {
    let transfer = data.first().is_some_and(|first| first % 2 == 1);
    let owner_leaves = if transfer { OwnerLeaves::Transfer } else { OwnerLeaves::Close };
    let tags = TagKey::random();
    let key = PublicKey::from_pem(include_str!("public-key.pem")).expect("a key");
    let newcomer = |session: u32| Newcomer {
        username: String::new().into(),
        public_key: Some(key.clone()),
        card: None,
        confirms: false,
        handle: session,
    };
    let options = RoomOptions { max_members: MOST_MEMBERS, expires_at: None, owner_leaves };
    let (mut room, owner) = Room::new(RoomId::random(), String::new().into(), options, newcomer(0));
    let (mut members, mut owner): (Vec<(UserId, u32)>, _) = (vec![(owner, 0)], owner);
    let mut once: Vec<Key> = Vec::new();
    let mut forever: Option<Key> = None;
    let (mut now, mut session) = (0u64, 0u32);

    for step in data.get(1..).unwrap_or_default().chunks_exact(2) {
        let which = usize::from(step[1]);
        for key in once.iter_mut().chain(&mut forever) {
            key.works &= key.until.is_none_or(|until| until > now);
        }
        match step[0] % 9 {
            0 => {
                let until = (which % 3 == 0).then_some(now + which as u64);
                let count = which % 3 + 1;
                let room_for = once.iter().filter(|key| key.works).count() + count <= MOST_KEYS;
                let issued = room.keys.issue(&tags, count, until.map_or(KeyLife::Room, KeyLife::Until), MOST_KEYS, now);
                assert_eq!(issued.is_some(), room_for);
                let works = until.is_none_or(|until| until > now);
                once.extend(issued.into_iter().flatten().map(|token| Key { token, until, works }));
            }
            1 => {
                let token = room.keys.forever(&tags, None, now);
                match forever.as_ref().filter(|key| key.works) {
                    Some(key) => assert!(key.token.matches(&token)),
                    None => forever = Some(Key { token, until: None, works: true }),
                }
            }
            2 if !once.is_empty() => {
                session += 1;
                let index = which % once.len();
                let key = &mut once[index];
                let tag = tags.tag(&key.token);
                match room.admit(WayIn::Onetime, Shown { tag: &tag, token: &key.token }, newcomer(session), false, now)
                {
                    Ok(Admission::New(user)) => {
                        assert!(key.works && members.len() < MOST_MEMBERS);
                        key.works = false;
                        members.push((user, session));
                    }
                    Ok(Admission::Again(_)) => panic!("another session is let in by a spent key"),
                    Err(Refusal::Full) => assert!(key.works && members.len() == MOST_MEMBERS),
                    Err(refusal) => assert!(!key.works, "{refusal:?}"),
                }
            }
            3 => {
                let guess = Token::random();
                let token = forever.as_ref().map_or(&guess, |key| &key.token);
                let tag = tags.tag(token);
                let is_member = which % 5 == 0;
                session += 1;
                match room.admit(WayIn::Forever, Shown { tag: &tag, token }, newcomer(session), is_member, now) {
                    Ok(Admission::New(user)) => {
                        assert!(
                            forever.as_ref().is_some_and(|key| key.works) && !is_member && members.len() < MOST_MEMBERS
                        );
                        members.push((user, session));
                    }
                    Ok(Admission::Again(_)) => panic!("the forever key buys no membership"),
                    Err(Refusal::Denied) => assert!(!forever.as_ref().is_some_and(|key| key.works)),
                    Err(Refusal::AlreadyMember) => assert!(is_member),
                    Err(Refusal::Full) => assert_eq!(members.len(), MOST_MEMBERS),
                }
            }
            4 => {
                let (user, _) = members.remove(which % members.len());
                let (_, aftermath) = room.depart(&user, |_| true).expect("a member");
                assert!(room.depart(&user, |_| true).is_none());
                match aftermath {
                    Aftermath::Empty => return assert!(members.is_empty() && room.is_empty()),
                    Aftermath::Ends(_) => return assert!(user == owner && !transfer),
                    Aftermath::NewOwner(heir) => {
                        assert!(user == owner && transfer && heir == members[0].0);
                        owner = heir;
                    }
                    Aftermath::GoesOn => assert!(user != owner),
                }
            }
            5 => {
                owner = members[which % members.len()].0;
                assert!(room.transfer(&owner) && !room.transfer(&UserId::random()));
            }
            6 if !once.is_empty() => {
                let index = which % once.len();
                let key = &mut once[index];
                assert_eq!(room.keys.revoke(&tags.tag(&key.token), &key.token, now), key.works);
                key.works = false;
            }
            7 if which % 4 == 0 => {
                room.keys.reset();
                once.clear();
                forever = None;
            }
            _ => {
                now += which as u64;
                room.keys.expire(now);
            }
        }
        assert_eq!(room.owner(), owner);
        assert!(room.members().map(|(user, member)| (user, member.handle)).eq(members.iter().copied()));
        assert!(room.next_expiry().is_none_or(|at| at < u64::MAX));
    }
}
