import Foundation
import Support

/// Draws figures with gnuplot, and leaves beside each what it was drawn from.
public struct FigureRenderer: Sendable {
    /// Where the files go; it must exist.
    public var directory: String
    /// The program: a name to look for in PATH, or a path.
    public var gnuplot: String

    /// A renderer into a directory.
    public init(directory: String, gnuplot: String = "gnuplot") {
        self.directory = directory
        self.gnuplot = gnuplot
    }

    /// The files of a figure.
    public struct Files: Sendable, Equatable {
        /// The script: `gnuplot NAME.gp` draws the figure again, after changes too.
        public var script: String
        /// The numbers: a table for each panel.
        public var tables: [String]
        /// The picture as vectors.
        public var svg: String
        /// The picture as pixels, at twice the size.
        public var png: String
    }

    /// Writes tables and script, and draws the pictures. The same figure gives the same bytes with the same gnuplot.
    /// - Throws: `EvaluationError` with code `figure` for a figure that cannot be drawn as described, `gnuplot` if the
    ///   program is missing or fails; tables and script are written before. `SystemError` if files cannot be written.
    @discardableResult
    public func render(_ figure: Figure) throws -> Files {
        let script = try GnuplotScript(figure)
        for (name, text) in script.tables { try OutputFile.write(Array(text.utf8), to: path(name)) }
        try OutputFile.write(Array(script.text.utf8), to: path(figure.name + ".gp"))
        let files = Files(
            script: path(figure.name + ".gp"), tables: script.tables.keys.sorted().map(path),
            svg: path(figure.name + ".svg"), png: path(figure.name + ".png"))
        guard let program = Self.find(gnuplot) else {
            throw EvaluationError(
                .gnuplot, file: files.script, message: "there is no program '\(gnuplot)' to draw it",
                advice: "install it (Debian: apt-get install gnuplot-nox); the numbers lie beside the script")
        }
        for (format, picture) in [("svg", files.svg), ("png", files.png)] {
            // A picture of an earlier run must not be taken for this one's.
            unlink(picture)
            let (status, errors) = try run(
                program, ["-e", "format='\(format)'", figure.name + ".gp"])
            guard status == 0, (Directory.fileSize(picture) ?? 0) > 0 else {
                throw EvaluationError(
                    .gnuplot, file: files.script,
                    message: "gnuplot ended with status \(status): \(errors.isEmpty ? "no picture" : errors)",
                    advice: "gnuplot 5.4 or newer with the terminals svg and pngcairo is needed (Debian: gnuplot-nox)")
            }
        }
        return files
    }

    private func path(_ name: String) -> String { directory + "/" + name }

    /// The program that a name means: in PATH, or as a path.
    private static func find(_ name: String) -> String? {
        let places =
            name.contains("/")
            ? [""] : (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map { $0 + "/" }
        return places.map { $0 + name }.first {
            FileManager.default.isExecutableFile(atPath: $0) && !Directory.isDirectory($0)
        }
    }

    /// Runs gnuplot in the directory; returns its status and what it complained about.
    private func run(_ program: String, _ arguments: [String]) throws -> (status: Int32, errors: String) {
        let process = Process(), pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.currentDirectoryURL = URL(fileURLWithPath: directory)
        // Neither a user's settings nor a display nor a language change the picture.
        process.environment = ProcessInfo.processInfo.environment
            .filter { !$0.key.hasPrefix("GNUPLOT") && !$0.key.hasPrefix("LC_") && $0.key != "DISPLAY" }
            .merging(["LC_ALL": "C.UTF-8", "HOME": directory]) { $1 }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = pipe
        do { try process.run() } catch {
            throw EvaluationError(.gnuplot, file: program, message: "cannot be started: \(error.localizedDescription)")
        }
        let complaint = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let text = String(decoding: complaint, as: UTF8.self).split(separator: "\n")
            .map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty && $0 != "^" }
        return (process.terminationStatus, text.suffix(3).joined(separator: "; "))
    }
}
