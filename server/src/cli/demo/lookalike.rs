//! Made-up chat messages in the shape of the real ones, for when those cannot be had. Always the same ones.

use std::ops::ControlFlow;

use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::dataset::{MESSAGES, Message, SENDERS};

const SEED: u64 = 0xEBB_71DE;
/// Conversations in the real data set.
const CONVERSATIONS: u64 = 7_168;
/// Its first message: 2018-04-10 18:02:17 UTC.
const FIRST_AT: i64 = 1_523_383_337;
/// Real messages are 48 bytes long on average, which is this many of these words at most.
const WORDS_MAX: usize = 20;
const WORDS: &[&str] = &[
    "the", "tide", "is", "going", "out", "and", "I", "am", "here", "how", "are", "you", "doing", "today", "what",
    "did", "say", "about", "that", "boat", "again", "haha", "well", "maybe", "tomorrow", "we", "could", "walk",
    "along", "sand", "before", "lunch", "sounds", "good", "to", "me", "really", "yes", "no", "🌊", "naïve",
];

/// Gives `count` messages to `take`, or fewer if it stops.
pub(super) fn each(count: u64, take: &mut dyn FnMut(Message) -> ControlFlow<()>) {
    let mut random = StdRng::seed_from_u64(SEED);
    let senders: Vec<String> = (0..SENDERS).map(|_| uuid(&mut random)).collect();
    let conversations = (count * CONVERSATIONS).div_ceil(MESSAGES).max(1);
    let mut sent_at = DateTime::from_timestamp(FIRST_AT, 0).expect("a time in 2018");
    for conversation in 0..conversations {
        let id = uuid(&mut random);
        // Everybody has a conversation of his own at first; after that some talk much more than others.
        let one = usize::try_from(conversation).ok().filter(|index| *index < senders.len());
        let one = one.unwrap_or_else(|| often_first(&mut random, senders.len()));
        let other = often_first(&mut random, senders.len());
        let length = count / conversations + u64::from(conversation < count % conversations);
        for number in 1..=u32::try_from(length).expect("a conversation is short") {
            let sender = &senders[if number % 2 == 1 { one } else { other }];
            sent_at += TimeDelta::seconds(random.random_range(1..60));
            let message = Message {
                sender: sender.clone(),
                conversation: id.clone(),
                number,
                sent_at: written(sent_at),
                text: words(&mut random),
            };
            if take(message).is_break() {
                return;
            }
        }
    }
}

/// A place in a list of `length`, where the second comes half as often as the first, the third a third as often.
fn often_first(random: &mut StdRng, length: usize) -> usize {
    let length_plus_one = length as f64 + 1.0;
    let place = length_plus_one.powf(random.random::<f64>());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and the length plus 1")]
    let place = place as usize;
    place.clamp(1, length) - 1
}

fn words(random: &mut StdRng) -> String {
    let count = random.random_range(1..=WORDS_MAX);
    let words: Vec<_> = (0..count).filter_map(|_| WORDS.choose(random).copied()).collect();
    words.join(" ")
}

fn written(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn uuid(random: &mut StdRng) -> String {
    let number: u128 = random.random();
    let digits = format!("{number:032x}");
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn made(count: u64) -> Vec<Message> {
        let mut messages = Vec::new();
        each(count, &mut |message| {
            messages.push(message);
            ControlFlow::Continue(())
        });
        messages
    }

    #[test]
    fn there_are_as_many_messages_senders_and_conversations_as_in_the_real_ones() {
        let messages = made(MESSAGES);
        assert_eq!(messages.len() as u64, MESSAGES);
        let mut by_sender: HashMap<&str, u64> = HashMap::new();
        let mut by_conversation: HashMap<&str, u64> = HashMap::new();
        for message in &messages {
            *by_sender.entry(&message.sender).or_default() += 1;
            *by_conversation.entry(&message.conversation).or_default() += 1;
        }
        assert_eq!(by_sender.len() as u64, SENDERS);
        assert_eq!(by_conversation.len() as u64, CONVERSATIONS);
        let most = by_sender.values().max().copied().unwrap_or_default();
        assert!(most > MESSAGES / 50, "some write much more than others, but the most is {most}");
    }

    #[test]
    fn they_are_the_same_each_time_and_few_when_few_are_wanted() {
        assert_eq!(made(500), made(500));
        assert_eq!(made(500).len(), 500);
        assert_eq!(made(1).len(), 1);
    }
}
