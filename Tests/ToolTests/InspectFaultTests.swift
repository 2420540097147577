import Foundation
import Testing

/// `pando inspect` on what is not there, not whole, or not what it seems.
@Suite(.serialized) struct InspectFaultTests {
    private func expectRefusal(_ path: String, _ words: String, _ options: [String] = []) throws {
        let outcome = try InspectSupport.run(InspectSupport.binary, ["inspect", path] + options)
        #expect(outcome.status == 1 && !outcome.crashed)
        #expect(outcome.output == "")
        #expect(outcome.errors.contains(path) && outcome.errors.contains(words), "\(outcome.errors)")
    }

    @Test(.enabled(if: InspectSupport.hasTool))
    func `Says what a file is that it cannot show`() throws {
        let folder = try InspectSupport.Folder()
        try expectRefusal(folder("nothing"), "no such file or directory")
        try expectRefusal(folder.path, "is no dataset: it is empty")
        try expectRefusal(try folder.write([], "empty"), "is empty")
        try expectRefusal(
            try folder.write(Array("root\0\0".utf8) + [0xf5, 0x4a], "a.h5"), "header, byte 8: 4 bytes expected")
        try expectRefusal(try folder.write(Array("hello, jets".utf8), "a.arrow"), "begin with 68 65 6c 6c 6f")
        try expectRefusal(try folder.write([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], "s"), "is an Arrow IPC stream")
        try expectRefusal(try folder.write(Array("ARROW1\0\0".utf8), "cut.arrow"), "does not end with ARROW1")
        let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]
        try expectRefusal(try folder.write(signature, "cut.h5"), "ends inside its superblock")
        try expectRefusal(folder.path, "holds a.arrow, a.h5, cut.arrow, cut.h5 and 2 more")
    }

    @Test(.enabled(if: InspectSupport.hasTool))
    func `Refuses rows and events that make no sense`() throws {
        for arguments in [
            ["--rows", "5..2"], ["--rows", "a"], ["--event", "1:x:3"], ["--rows", "1", "--event", "1:2:3"],
        ] {
            let outcome = try InspectSupport.run(InspectSupport.binary, ["inspect", "x"] + arguments)
            #expect(outcome.status == 64)
        }
        guard InspectSupport.canCompare, let path = InspectTests.dataset?.path else { return }
        try expectRefusal(path, "it has rows 0..", ["--rows", "0..9999999"])
        try expectRefusal(path, "events are named by run:lumi:event", ["--event", "1:2"])
        try expectRefusal(path, "column nonsense: is not there", ["--columns", "nonsense"])
        try expectRefusal(path, "column nonsense: is not there", ["--rows", "0", "--columns", "pt,nonsense"])
    }

    @Test(.enabled(if: InspectSupport.canCompare))
    func `Says how far an unfinished conversion is`() throws {
        let folder = try InspectSupport.Folder()
        let input = try #require(
            InspectSupport.inputs.first { $0.hasSuffix("aoj_small.h5") } ?? InspectSupport.inputs.first)
        // Killed as soon as the ledger knows a shard; a machine may be too quick now and then.
        for attempt in 0..<5 {
            let output = folder("\(attempt).pando"), ledger = "\(output)/ledger/shards.jsonl"
            let process = Process()
            process.executableURL = URL(fileURLWithPath: InspectSupport.binary)
            process.arguments = [
                "convert", input, output, "--batch-rows", "20", "--shard-size", "20kB", "--threads", "1", "--quiet",
            ]
            try process.run()
            while process.isRunning,
                (try? String(contentsOfFile: ledger, encoding: .utf8).split(separator: "\n").count) ?? 0 < 3
            {
                usleep(1000)
            }
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            if FileManager.default.fileExists(atPath: "\(output)/dataset.json") { continue }
            let outcome = try InspectSupport.pando("inspect", output, "--json")
            #expect(outcome.status == 0, "\(outcome.errors)")
            let report = try #require(
                try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
            #expect(report["kind"] as? String == "unfinished")
            #expect(report["inputs"] as? [String] == [input])
            #expect(report["shardsDone"] as? Int ?? 0 >= 2)
            #expect(report["rowsDone"] as? Int ?? 0 >= 20)
            #expect(try InspectSupport.pando("inspect", output).output.contains("run the same 'pando convert' again"))
            try expectRefusal(output, "has not finished", ["--rows", "0"])
            return
        }
    }

    @Test(.enabled(if: InspectSupport.canCompare))
    func `Shows what is left of a damaged dataset, and says that it is damaged`() throws {
        let folder = try InspectSupport.Folder()
        let copy = folder("copy.pando")
        try FileManager.default.copyItem(atPath: try #require(InspectTests.dataset).path, toPath: copy)
        try FileManager.default.removeItem(atPath: "\(copy)/shards/00001.arrow")
        var outcome = try InspectSupport.pando("inspect", copy)
        #expect(outcome.status == 1 && outcome.output.contains("Columns of jets"))
        #expect(outcome.errors.contains("shards/00001.arrow") && outcome.errors.contains("pando verify"))
        try Data([1, 2, 3]).write(to: URL(fileURLWithPath: "\(copy)/index.arrow"))
        outcome = try InspectSupport.pando("inspect", copy, "--json")
        #expect(outcome.status == 1 && outcome.errors.contains("index.arrow: 3 bytes"))
        #expect((try? JSONSerialization.jsonObject(with: Data(outcome.output.utf8))) != nil)
    }

    @Test(.enabled(if: InspectSupport.canCompare))
    func `No flipped byte of a shard or HDF5 file ends it by a signal`() throws {
        let folder = try InspectSupport.Folder()
        let seed = UInt64.random(in: .min ... .max)
        var state = seed
        func random(_ bound: Int) -> Int {
            // SplitMix64.
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
            return Int((z ^ z >> 31) % UInt64(bound))
        }
        let shard = try #require(InspectTests.dataset).path + "/shards/00000.arrow"
        for path in [shard, try #require(InspectSupport.inputs.first)] {
            let whole = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
            for round in 0..<20 {
                var bytes = whole
                // Half of the flips where the structure is: in the head and in the footer.
                for _ in 0..<3 {
                    let place =
                        round % 2 == 0
                        ? random(min(8192, bytes.count)) : bytes.count - 1 - random(min(8192, bytes.count))
                    bytes[place] ^= UInt8(1 + random(255))
                }
                let damaged = try folder.write(bytes, "damaged")
                for options in [["--json"], ["--rows", "0..3"]] {
                    let outcome = try InspectSupport.run(InspectSupport.binary, ["inspect", damaged] + options)
                    #expect(!outcome.crashed && outcome.status <= 1, "seed \(seed), round \(round), \(path)")
                }
            }
        }
    }
}
