// Distributed under the Boost Software License, Version 1.0. See LICENSE.
// What is wrong, in sentences that say what and where; the most serious one first. Bad is what keeps
// the cluster or this node from its work, or may cost data; what works but should be looked at is a
// warning. A finding has a key that stays the same while only its numbers change.

const silentAfterMs = 3000;
const lagMin = 1000;       // entries; below, it is a follower at work
const lagSeconds = 2;      // of the present rate of operations
const refusalSeconds = 10;
const certificateDays = 14;

const nameOf = member => "Node " + member.id + (member.contact ? " (" + member.contact + ")" : "");
const isVoterHeard = member => member.self || (member.connected && !member.doubtful &&
    (member.lastContact === null || member.lastContact < silentAfterMs));

// How many voters may still fail, as far as this node knows.
function tolerance(status) {
    const voters = status.members.filter(member => member.voter);
    const heard = voters.filter(isVoterHeard).length;
    return {voters: voters.length, heard, spare: heard - Math.floor(voters.length / 2) - 1};
}

function progressText(transfer) {
    if (transfer.total === 0) return bytes(transfer.done) + " so far";
    return percent(transfer.part) + ", " + bytes(transfer.done) + " of " + bytes(transfer.total);
}

function ownFindings(status) {
    const found = [];
    const add = (level, key, text) => found.push({level, key, text});
    const self = "Node " + status.node;
    const isMember = status.members.some(member => member.self);
    if (status.stopped) add("bad", "stopped", self + " has stopped for good; its log says why.");
    if (status.leader === 0 && !status.stopped) {
        add("bad", "leaderless", "There is no leader: nothing can be written. " + self + " is " +
            (status.role || "waiting") + " in term " + count(status.term) + ".");
    }
    if (status.lostUpTo > 0) {
        add("bad", "lost", self + " has found damage in its log and neither votes nor leads until its " +
            "peers have brought what is missing, up to entry " + count(status.lostUpTo) + ".");
    }
    if (status.diskStalled) {
        add("bad", "stalled", "The disk of node " + status.node +
            " hangs: a write does not end, so it neither leads nor votes.");
    }
    if (status.refuses) {
        add("bad", "refuses", self + " takes nothing new from clients: " + status.refuses);
    }
    const left = status.certificateEnd === 0 || status.now === null ? Infinity
        : status.certificateEnd - status.now / 1000;
    if (left <= 0) {
        add("bad", "expired", "The certificate of node " + status.node + " has expired: nobody new " +
            "connects to it. Replacing the file is enough.");
    } else if (left < certificateDays * 86400) {
        add("warn", "expires", "The certificate of node " + status.node + " expires in " +
            duration(left) + ".");
    }
    if (!isMember) {
        add("warn", "stranger", self + " is not a member of the cluster, or not yet.");
    }
    return found;
}

// Whether there are enough voters, as far as this node knows.
function quorumFindings(status) {
    const {voters, heard, spare} = tolerance(status);
    if (status.role === "leader" && spare < 0) {
        return [{level: "bad", key: "quorum", text: "Only " + heard + " of " + many(voters, "voter") +
            " can be reached from the leader: nothing can be written until another comes back."}];
    }
    if (status.leader !== 0 && spare === 0 && voters > 2) {
        return [{level: "warn", key: "spare", text: "The cluster works, but " + heard + " of " +
            voters + " voters are left: if one more fails, nothing can be written."}];
    }
    return [];
}

function memberFindings(status, member) {
    const found = [];
    const add = (level, key, text) => found.push({level, key: key + member.id, text});
    const name = nameOf(member);
    if (!member.connected) {
        add("warn", "away", name + " is not connected" +
            (member.whyNot ? ": " + member.whyNot : "."));
    } else if (member.lastContact !== null && member.lastContact >= silentAfterMs) {
        add("warn", "silent", name + " is connected but has not answered for " +
            duration(member.lastContact / 1000) + ".");
    }
    if (member.doubtful) {
        add("bad", "doubtful", name + " has lost, or may have lost, what it had acknowledged: no other " +
            "voter should fail until it has caught up.");
    }
    if (member.disk === "stalled") add("warn", "hangs", "The disk of node " + member.id + " hangs.");
    if (member.disk === "full") add("warn", "full", "The disk of node " + member.id + " is full.");
    const rate = recently(status.history, "operations", lagSeconds);
    if (member.transfer !== null) {
        add("note", "sent", name + " is being sent a snapshot: " + progressText(member.transfer) + ".");
    } else if (member.connected && member.lag !== null && member.lag >= Math.max(lagMin, rate)) {
        add("warn", "lags", name + " is " + many(member.lag, "entry", "entries") + " behind.");
    }
    return found;
}

function workFindings(status) {
    const found = [];
    const add = (level, key, text) => found.push({level, key, text});
    const behind = (status.commit ?? 0) - (status.applied ?? 0);
    if (status.receiving !== null) {
        add("note", "receiving", "Node " + status.node + " receives a snapshot: " +
            progressText(status.receiving) + ".");
    } else if (behind >= Math.max(lagMin, recently(status.history, "operations", lagSeconds))) {
        add("warn", "behind", "Node " + status.node + " has " + count(behind) +
            " committed entries still to apply.");
    }
    const refused = recently(status.history, "refusals", refusalSeconds);
    if (refused > 0) {
        add("warn", "refusals", many(refused, "request was", "requests were") + " refused in the last " +
            refusalSeconds + space + "s.");
    }
    if (status.changing || !status.settled) {
        add("note", "changing", "The members are being changed.");
    }
    return found;
}

const levels = ["bad", "warn", "note", "ok"];

// @param atWork  something is under way
function healthy(status, atWork) {
    const term = " in term " + count(status.term);
    if (status.role !== "leader") {
        return "Healthy, as far as node " + status.node + " can see: node " + status.leader + " leads" +
            term + ".";
    }
    const {spare} = tolerance(status);
    const parts = ["node " + status.node + " leads" + term];
    if (status.members.length === 1) parts.push("alone");
    else if (!atWork) parts.push("all " + many(status.members.length, "member") + " are in step");
    if (spare > 0) parts.push(many(spare, "voter") + " may fail");
    return "Healthy: " + listed(parts) + ".";
}

// {level, headline, findings, key}
function judge(status) {
    const found = [
        ...ownFindings(status),
        ...status.members.filter(member => !member.self)
            .flatMap(member => memberFindings(status, member)),
        ...quorumFindings(status), ...workFindings(status),
    ];
    found.sort((one, other) => levels.indexOf(one.level) - levels.indexOf(other.level));
    const key = found.map(finding => finding.key).join(" ");
    if (found.length === 0) return {level: "ok", headline: healthy(status, false), findings: [], key: "ok"};
    const [first, ...rest] = found;
    if (first.level === "note") {
        return {level: "note", headline: healthy(status, true), findings: found, key};
    }
    return {level: first.level, headline: first.text, findings: rest, key};
}
