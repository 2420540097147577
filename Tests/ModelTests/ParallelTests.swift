import Foundation
import Glibc
import Loader
import Model
import Shards
import Support
import Testing
import Torch

@Suite struct ParallelTests {
    @Test(
        "the master is found in each launcher's variables",
        arguments: [
            (["MASTER_ADDR": "node01", "MASTER_PORT": "29500"], "node01:29500"),
            (["MASTER_ADDR": "::1", "MASTER_PORT": "1"], "[::1]:1"),
            (["SLURM_JOB_ID": "4001", "SLURM_STEP_NODELIST": "cn[03-07,12],login1"], "cn03:20008"),
            (["SLURM_JOB_ID": "7", "SLURM_STEP_ID": "3", "SLURM_STEP_NODELIST": "node"], "node:20059"),
            (["SLURM_JOB_ID": "7", "SLURM_STEP_NODELIST": "a,b[1-2]"], "a:20056"),
            (["SLURM_JOB_ID": "7", "SLURM_STEP_NODELIST": "cn[1,3]-ib"], "cn1-ib:20056"),
        ])
    func master(_ environment: [String: String], _ expected: String) throws {
        #expect(try Master(environment: environment).description == expected)
    }

    @Test(
        "a master that is not said, or only half, is an error that names the variables",
        arguments: [
            [:], ["MASTER_ADDR": "a"], ["MASTER_PORT": "1"], ["MASTER_ADDR": "a", "MASTER_PORT": "x"],
            ["MASTER_ADDR": "a", "MASTER_PORT": "70000"], ["SLURM_JOB_ID": "7"],
            ["SLURM_JOB_ID": "7", "SLURM_STEP_NODELIST": "cn["],
        ])
    func noMaster(_ environment: [String: String]) {
        let error = #expect(throws: ModelError.self) { try Master(environment: environment) }
        #expect(error?.code == .ranks && error?.description.contains("MASTER_ADDR") == true)
    }

    @Test("torchrun's agent listens at the master's port, so rank 0 takes the next one")
    func agent() throws {
        let environment = ["MASTER_ADDR": "a", "MASTER_PORT": "29500", "TORCHELASTIC_USE_AGENT_STORE": "True"]
        #expect(try Master(environment: environment).description == "a:29501")
        #expect(try Master("[fe80::1]:80") == Master(host: "fe80::1", port: 80))
        #expect(throws: ModelError.self) { try Master("node:0") }
        #expect(throws: ModelError.self) { try Master(":80") }
    }

    private func card(_ rank: Int, of size: Int = 2, _ common: [String: String] = ["version": "1"]) throws -> RankCard {
        try RankCard(Rank(rank, of: size), common: common)
    }

    @Test("processes that do not fit together are told what differs, with both sides")
    func conflicts() throws {
        #expect(RankCard.conflict([]) == nil)
        #expect(RankCard.conflict([try card(0), try card(1)]) == nil)
        let versions = try #require(RankCard.conflict([try card(1, of: 2, ["version": "2"]), try card(0)]))
        #expect(
            versions.contains("rank 1") && versions.contains("another version than rank 0")
                && versions.hasSuffix("2, not 1"))
        let sizes = try #require(RankCard.conflict([try card(0, of: 2), try card(1, of: 4)]))
        #expect(sizes.contains("rank 0") && sizes.contains("one of 2") && sizes.contains("one of 4"))
        let twins = try #require(RankCard.conflict([try card(0, of: 3), try card(1, of: 3), try card(1, of: 3)]))
        #expect(twins.contains("two processes are rank 1"))
        var broken = try card(1)
        broken.fault = "jets.pando: no such dataset"
        #expect(RankCard.conflict([try card(0), broken])?.contains("no such dataset") == true)
    }

    @Test("a process of a version that says other things of itself is an error, not one that is missing")
    func stranger() throws {
        let port = try #require(freePort()), found = Monitor<String?>(nil)
        try WorkerThreads.run(2) { number in
            if number == 1 {
                let store = try KeyValueStore(host: "127.0.0.1", port: port, isMaster: false, timeout: 20)
                let card = try store.add("cards", 1)
                try store.set("card/\(card)", #"{"place":1,"omnijet":"9.9"}"#)
                // What the others do that have seen what does not fit.
                try store.add("seen", 1)
                _ = found.wait(seconds: 20) { $0 }
                return
            }
            var options = World.Options(master: Master(host: "127.0.0.1", port: port))
            options.joining = 20
            do {
                _ = try World(Rank(0, of: 2), options) { TrainingConfiguration(.pretrain) }
            } catch { found.update { $0 = "\(error)" } }
        }
        let text = try #require(found.read { $0 })
        for part in ["rank 0", Version.number, #""omnijet":"9.9""#] { #expect(text.contains(part), "\(text)") }
    }

    /// A TCP port of the loopback interface that nobody uses.
    private func freePort() -> Int? {
        let one = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(one) }
        var address = sockaddr_in(), length = socklen_t(MemoryLayout<sockaddr_in>.size)
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(one, $0, length) == 0 && getsockname(one, $0, &length) == 0
            }
        }
        return isBound ? Int(UInt16(bigEndian: address.sin_port)) : nil
    }

    @Test("of configurations the value that differs is named")
    func configurations() throws {
        func common(_ rate: Double) throws -> [String: String] {
            var configuration = TrainingConfiguration(.pretrain)
            configuration.optimizer.rate = rate
            return ["configuration": try CanonicalJSON.text(JSONValue(encoding: configuration))]
        }
        let text = try #require(RankCard.conflict([try card(0, of: 2, common(0.5)), try card(1, of: 2, common(0.25))]))
        #expect(text.contains("another configuration than rank 0") && text.hasSuffix("optimizer.rate = 0.25, not 0.5"))
    }

    @Test("a step's seeds are its own, and that for all ranks is the same in each")
    func seeds() {
        let step = TrainingStep(number: 3, seed: 1, world: .single)
        #expect(step.ownSeed == TrainingStep(number: 3, seed: 1, world: .single).ownSeed)
        let others = [
            TrainingStep(number: 4, seed: 1, world: .single).ownSeed,
            TrainingStep(number: 3, seed: 2, world: .single).ownSeed, step.commonSeed,
        ]
        #expect(Set(others + [step.ownSeed]).count == 4)
    }
}
