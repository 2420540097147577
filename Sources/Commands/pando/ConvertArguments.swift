import ArgumentParser
import Convert
import Foundation
import Support

/// Arguments that stand for numbers.
enum Sizes {
    /// `64MiB`, `100MB`, `4096`.
    static func bytes(_ text: String) -> Int? {
        let units: [(String, Int)] = [
            ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("kB", 1000), ("KB", 1000), ("MB", 1_000_000),
            ("GB", 1_000_000_000), ("B", 1),
        ]
        for (name, factor) in units where text.hasSuffix(name) {
            guard let number = Int(text.dropLast(name.count)), number >= 0 else { return nil }
            let (bytes, overflow) = number.multipliedReportingOverflow(by: factor)
            return overflow ? nil : bytes
        }
        return Int(text)
    }

    /// `train=0.8,val=0.1,test=0.1`; the shares add up to 1.
    static func splits(_ text: String) throws -> [(name: String, share: Double)] {
        let parts = try text.split(separator: ",").map { part in
            let words = part.split(separator: "=")
            guard words.count == 2, words[0].allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }),
                let share = Double(words[1]), share >= 0, share <= 1
            else {
                throw ValidationError("--splits is like train=0.8,val=0.1,test=0.1")
            }
            return (name: String(words[0]), share: share)
        }
        guard !parts.isEmpty, abs(parts.reduce(0) { $0 + $1.share } - 1) < 1e-6,
            Set(parts.map(\.name)).count == parts.count
        else {
            throw ValidationError("--splits need different names and shares that add up to 1")
        }
        return parts
    }
}

/// Inputs as they are given: files and lists of files.
enum InputList {
    /// Replaces `@list.txt` by the lines of that file; empty lines and those that begin with # are left out.
    static func expand(_ paths: [String]) throws -> [String] {
        try paths.flatMap { path -> [String] in
            if let scheme = ["root://", "https://", "http://", "s3://"].first(where: path.hasPrefix) {
                throw ConvertError(
                    .input, file: path, message: "\(scheme) is not read directly",
                    advice: "copy the file to a local disk (xrdcp, curl) or name its path on a mounted file system")
            }
            guard path.hasPrefix("@") else { return [path] }
            let name = String(path.dropFirst())
            let text = String(decoding: try InputFile(path: name).readAll(limit: 1 << 28), as: UTF8.self)
            return text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
                .filter { !$0.isEmpty && !$0.hasPrefix("#") }
        }
    }
}

/// Bytes of a dataset's directory.
enum DatasetSize {
    /// All files: shards, index, catalogue, parity.
    static func all(_ directory: String) -> Int {
        let names = (try? FileManager.default.subpathsOfDirectory(atPath: directory)) ?? []
        return names.reduce(0) { $0 + ((try? InputFile(path: "\(directory)/\($1)").size) ?? 0) }
    }
}
