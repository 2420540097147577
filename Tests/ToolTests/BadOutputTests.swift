import Foundation
import Glibc
import Shards
import Support
import TestSupport
import Testing

/// Places that cannot be written to, and arguments that make no sense.
@Suite struct BadOutputTests {
    @Test func `a place that cannot be written is named`() throws {
        for output in ["/dev/null/d", "/proc/pando-test", "/lost/directory/d"] {
            let run = try Run(["convert", Package.sample, output])
            #expect(run.status == 1)
            #expect(run.errors.contains(output), "\(run.errors)")
        }
    }

    /// A small file system of its own, where this process may mount one.
    @Test func `a full disk is an error, leaves nothing half-written, and is no obstacle to going on`() throws {
        let directory = try TemporaryDirectory()
        let disk = directory.file("disk")
        try Directory.make(disk)
        guard shell("mount -t tmpfs -o size=800k tmpfs '\(disk)'") == 0 else {
            print("no right to mount a small disk here: the test of a full one is left out")
            return
        }
        defer { _ = shell("umount '\(disk)'") }
        let command = [
            "convert", Package.sample, disk + "/d", "--batch-rows", "200", "--shard-size", "200kB", "--quiet",
        ]
        let full = try Run(command)
        #expect(full.status == 1)
        #expect(full.errors.contains("No space left"), "\(full.errors)")
        #expect(!Directory.exists(disk + "/d/\(Catalogue.fileName)"))
        let names = try FileManager.default.subpathsOfDirectory(atPath: disk)
        #expect(!names.contains { $0.hasSuffix(OutputFile.temporarySuffix) })
        #expect(shell("mount -o remount,size=8m '\(disk)'") == 0)
        #expect(try Run(command).status == 0)
        #expect(try Run(["verify", "--lossless", "--quiet", disk + "/d"]).status == 0)
    }

    private func shell(_ command: String) -> Int32 {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", command + " 2>/dev/null"]
        do { try process.run() } catch { return -1 }
        process.waitUntilExit()
        return process.terminationStatus
    }

    @Test(arguments: [
        ["convert"], ["convert", "a.h5"], ["convert", "a.h5", "b", "--level", "99"],
        ["convert", "a.h5", "b", "--task", "3/3"],
        ["convert", "a.h5", "b", "--splits", "train=0.5"], ["convert", "a.h5", "b", "--shard-size", "big"],
        ["nonsense"],
    ])
    func `wrong usage ends with 64`(arguments: [String]) throws {
        #expect(try Run(arguments).status == 64)
    }

    @Test func `a remote input says what to do`() throws {
        let run = try Run(["convert", "root://eospublic.cern.ch//eos/x.h5", "d"])
        #expect(run.status == 1)
        #expect(run.errors.contains("copy the file"))
    }

    @Test func `skipped inputs end with 3 and are in the catalogue`() throws {
        let directory = try TemporaryDirectory()
        let output = directory.file("d")
        let run = try Run([
            "convert", directory.file("lost.h5"), Package.sample, output, "--on-bad-input", "skip", "--quiet",
        ])
        #expect(run.status == 3)
        #expect(run.errors.contains("lost.h5"))
        #expect(try Dataset(directory: output).catalogue.missing.count == 1)
    }

    @Test func `a list of inputs is read from a file`() throws {
        let directory = try TemporaryDirectory()
        try OutputFile.write(Array("# inputs\n\n\(Package.sample)\n".utf8), to: directory.file("list.txt"))
        let run = try Run(["convert", "@" + directory.file("list.txt"), directory.file("d"), "--json", "--quiet"])
        #expect(run.status == 0)
        #expect(run.output.contains("\"rows\":1727"))
    }
}
